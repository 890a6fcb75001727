//! The reader's own thread. It polls whatever happens, also while the applier works for minutes, so that the group never takes
//! it for dead; it holds the partition back by pausing it, never by not polling.

mod calls;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use ccr_ops::Clock;
use ccr_schemas::TopicName;
use rdkafka::Offset as At;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::sync::mpsc;

use super::config::KafkaConfig;
use super::failure::{of_call, of_member, of_topic};
use super::fetch::{ASK, at, check_position, committed_in, record, size};
use super::group::{Membership, Note};
use super::reader::{Command, Notice, Shared};
use super::watchdog::{Verdict, Watchdog};
use crate::error::Error;
use crate::event_log::{Offset, ReaderEvent, Record};
use crate::metrics;

/// Max bytes delivered and not yet taken (one record may exceed it). Delivery is paused there and resumes at half of it.
const BUFFER: usize = 8 * 1024 * 1024;
/// Room of the channel, and the part of it that is kept for other news than records.
pub(super) const ROOM: usize = 8192;
const RESERVE: usize = 1024;
/// Longest sleep without a sign from librdkafka. Bounds the harm of a lost wake-up.
const NAP: Duration = Duration::from_millis(50);
/// Records taken before commands are looked at again.
const TURN: usize = 256;
/// Between two attempts to read the group's position after an assignment.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// State of the group member. It is lost with the process; the broker keeps the committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not the owner.
    Waiting,
    /// Owner since a moment ago; the group's position is still to be read, next try at that time.
    Arriving { retry_at: Duration },
    /// Owner, and the reader knows it; delivery waits for its seek.
    Holding,
    /// Delivering: next offset to deliver, paused or not, end of the topic reported or not.
    Delivering {
        position: i64,
        paused: bool,
        at_end: bool,
    },
}

pub(super) struct Pump {
    config: KafkaConfig,
    clock: Arc<dyn Clock>,
    group: String,
    topic: TopicName,
    consumer: BaseConsumer<Membership>,
    wake: SyncSender<Command>,
    notices: mpsc::Sender<Notice>,
    shared: Arc<Shared>,
    phase: Phase,
    ownership: u64,
    epoch: u64,
    watchdog: Watchdog,
    /// librdkafka has stopped fetching after an offset out of range; a seek alone does not start it again.
    stopped: bool,
    /// An error was reported and nothing was delivered since: a further error is not reported.
    complained: bool,
}

impl Pump {
    pub(super) fn new(
        config: KafkaConfig,
        clock: Arc<dyn Clock>,
        (group, topic): (&str, &TopicName),
        (wake, notices, shared): (SyncSender<Command>, mpsc::Sender<Notice>, Arc<Shared>),
    ) -> Result<Self, Error> {
        let consumer = subscribe(&config, group, topic, &wake, &shared)?;
        let watchdog = Watchdog::new(clock.monotonic());
        Ok(Self {
            config,
            clock,
            group: group.to_owned(),
            topic: topic.clone(),
            consumer,
            wake,
            notices,
            shared,
            phase: Phase::Waiting,
            ownership: 0,
            epoch: 0,
            watchdog,
            stopped: false,
            complained: false,
        })
    }

    /// Runs until asked to leave. Dropping `self` leaves the group; that may block for as long as the coordinator does.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let mut busy = false;
        let gauge = ::metrics::gauge!(metrics::BUFFERED_BYTES, "topic" => self.topic.0.clone());
        loop {
            let nap = if busy { Duration::ZERO } else { NAP };
            match commands.recv_timeout(nap) {
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.shared.leave.load(Ordering::Acquire) || self.notices.is_closed() {
                break;
            }
            busy = self.poll(Duration::ZERO);
            self.arrive();
            self.hold_back();
            let buffered = self.shared.buffered.load(Ordering::Acquire);
            gauge.set(buffered as f64);
            if let Err(error) = self.look_for_stall() {
                self.complain(error);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Wake => self.shared.awake.store(false, Ordering::Release),
            Command::Seek {
                ownership,
                epoch,
                offset,
                answer,
            } => {
                self.epoch = epoch;
                drop(answer.send(self.seek(ownership, offset)));
            }
            Command::Commit {
                ownership,
                position,
                answer,
            } => {
                drop(answer.send(self.commit(ownership, &position)));
            }
        }
    }

    /// Takes what is there, waiting for the first at most `patience`. Answers whether there may be more.
    fn poll(&mut self, patience: Duration) -> bool {
        let mut patience = patience;
        for _ in 0..TURN {
            let polled = match self.consumer.poll(patience) {
                None => None,
                Some(Ok(message)) => Some(Ok(record(&message))),
                Some(Err(error)) => Some(Err(error)),
            };
            patience = Duration::ZERO;
            let noted = self.note();
            match polled {
                Some(Ok(record)) => self.deliver(record),
                Some(Err(error)) => self.fail(error),
                // Nothing, or a rebalance that was served in place of a message.
                None => return noted,
            }
        }
        true
    }

    /// Takes up what the rebalance callback left.
    fn note(&mut self) -> bool {
        let notes = self.consumer.context().take();
        let any = !notes.is_empty();
        for note in notes {
            match note {
                Note::Assigned => {
                    self.ownership += 1;
                    self.stopped = false;
                    self.phase = Phase::Arriving {
                        retry_at: Duration::ZERO,
                    };
                }
                Note::Revoked => self.revoked(),
                Note::Failed(error) => {
                    let error = of_call("take part in a rebalance", error);
                    self.complain(error);
                }
            }
        }
        any
    }

    fn revoked(&mut self) {
        match self.phase {
            Phase::Waiting => {}
            // The reader does not know of the assignment.
            Phase::Arriving { .. } => self.phase = Phase::Waiting,
            Phase::Holding | Phase::Delivering { .. } => {
                self.phase = Phase::Waiting;
                self.tell(Notice::Revoked);
            }
        }
    }

    /// After an assignment: reads the committed offset and reports both to the reader.
    fn arrive(&mut self) {
        let now = self.clock.monotonic();
        let Phase::Arriving { retry_at } = self.phase else {
            return;
        };
        if now < retry_at {
            return;
        }
        let asked = at(&self.topic, At::Invalid)
            .and_then(|list| self.consumer.committed_offsets(list, ASK))
            .and_then(|list| committed_in(&list, &self.topic));
        match asked {
            Ok(committed) => {
                self.phase = Phase::Holding;
                self.complained = false;
                self.tell(Notice::Assigned {
                    ownership: self.ownership,
                    committed,
                });
            }
            Err(error) => {
                self.phase = Phase::Arriving {
                    retry_at: now + ASK_AGAIN,
                };
                self.complain(self.failure("read the group's position", error));
            }
        }
    }

    fn deliver(&mut self, record: Record) {
        let Phase::Delivering {
            position,
            paused,
            at_end,
        } = &mut self.phase
        else {
            return;
        };
        // While held back: will come again after the seek that ends it.
        if *paused || record.offset.0 < *position {
            return;
        }
        *position = record.offset.0 + 1;
        *at_end = false;
        self.complained = false;
        self.watchdog.alive(self.clock.monotonic());
        self.shared
            .buffered
            .fetch_add(size(&record), Ordering::AcqRel);
        self.tell(Notice::Delivered {
            epoch: self.epoch,
            event: Ok(ReaderEvent::Record(record)),
        });
        self.hold_back();
    }

    fn fail(&mut self, error: KafkaError) {
        match error {
            KafkaError::PartitionEOF(_) => {
                if let Phase::Delivering {
                    position,
                    paused: false,
                    at_end: at_end @ false,
                } = &mut self.phase
                {
                    *at_end = true;
                    let end = Offset(*position);
                    self.watchdog.alive(self.clock.monotonic());
                    self.tell(Notice::Delivered {
                        epoch: self.epoch,
                        event: Ok(ReaderEvent::CaughtUp { end }),
                    });
                }
            }
            KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                self.out_of_range();
            }
            KafkaError::MessageConsumptionFatal(code) => {
                tracing::warn!(%code, group = %self.group, topic = %self.topic, "consumer failed permanently; recreating it");
                self.recreate_consumer();
            }
            // The rebalance that follows says more.
            KafkaError::MessageConsumption(Code::PollExceeded) => {
                tracing::warn!(group = %self.group, topic = %self.topic, "consumer evicted from the group: max.poll.interval.ms exceeded");
            }
            error => self.complain(self.failure("read", error)),
        }
    }

    /// The broker does not have the position. Says which of its ends it lies beyond.
    fn out_of_range(&mut self) {
        self.stopped = true;
        let Phase::Delivering { position, .. } = self.phase else {
            return;
        };
        let judged = self
            .consumer
            .fetch_watermarks(&self.topic.0, 0, ASK)
            .map_err(|error| of_topic("ask where it begins", &self.topic, error))
            .and_then(|marks| check_position(&self.topic, position, marks));
        match judged {
            Err(error @ (Error::OffsetGone { .. } | Error::Corrupt(_))) => {
                self.phase = Phase::Holding;
                self.tell(Notice::Delivered {
                    epoch: self.epoch,
                    event: Err(error),
                });
            }
            // It is there after all, or nobody can tell: try again.
            answer => {
                if let Err(error) = answer {
                    self.complain(error);
                }
                if let Err(error) = self.start(position) {
                    self.complain(of_topic("seek", &self.topic, error));
                }
            }
        }
    }

    /// Pauses when the applier is behind by the buffer, goes on at half of it.
    fn hold_back(&mut self) {
        let Phase::Delivering {
            position, paused, ..
        } = self.phase
        else {
            return;
        };
        let buffered = self.shared.buffered.load(Ordering::Acquire);
        let room = self.notices.capacity();
        if !paused && (buffered >= BUFFER || room <= RESERVE) {
            if let Ok(list) = at(&self.topic, At::Invalid)
                && let Err(error) = self.consumer.pause(&list)
            {
                tracing::debug!(%error, topic = %self.topic, "cannot pause the consumer; records beyond the buffer are dropped and read again");
            }
            self.set_paused(true);
        } else if paused && buffered <= BUFFER / 2 && room > ROOM / 2 {
            // An explicit place: what librdkafka had read ahead when it was paused is gone.
            match self.start(position) {
                Ok(()) => self.set_paused(false),
                Err(error) => self.complain(of_topic("go on reading", &self.topic, error)),
            }
        }
    }

    fn set_paused(&mut self, value: bool) {
        if let Phase::Delivering { paused, .. } = &mut self.phase {
            *paused = value;
        }
        self.watchdog.alive(self.clock.monotonic());
    }

    fn look_for_stall(&mut self) -> Result<(), Error> {
        let now = self.clock.monotonic();
        let position = match self.phase {
            Phase::Delivering {
                position,
                paused: false,
                ..
            } => position,
            Phase::Delivering { .. } | Phase::Waiting | Phase::Arriving { .. } | Phase::Holding => {
                self.watchdog.alive(now);
                return Ok(());
            }
        };
        if !self.watchdog.wants_look(now) {
            return Ok(());
        }
        let looked = self.consumer.fetch_watermarks(&self.topic.0, 0, ASK);
        let now = self.clock.monotonic();
        match looked {
            Ok((_, end)) => {
                if self.watchdog.looked(now, position, end) == Verdict::Stalled {
                    tracing::warn!(topic = %self.topic, position, end, "consumer stalled: the topic has records that are not delivered; recreating the consumer");
                    ::metrics::counter!(metrics::STALLS, "topic" => self.topic.0.clone())
                        .increment(1);
                    self.recreate_consumer();
                }
                Ok(())
            }
            Err(error) => {
                self.watchdog.alive(now);
                Err(of_topic("ask where it ends", &self.topic, error))
            }
        }
    }

    /// Replaces the consumer. The member leaves the group and joins it again.
    fn recreate_consumer(&mut self) {
        match subscribe(
            &self.config,
            &self.group,
            &self.topic,
            &self.wake,
            &self.shared,
        ) {
            Ok(consumer) => {
                self.revoked();
                self.watchdog.alive(self.clock.monotonic());
                let old = std::mem::replace(&mut self.consumer, consumer);
                // Leaving waits for the coordinator; this thread is needed by the new member.
                let closer = thread::Builder::new()
                    .name("ccr-log-closer".to_owned())
                    .spawn(move || drop(old));
                if let Err(error) = closer {
                    tracing::warn!(%error, "cannot start a thread to close the old consumer; it was closed on the polling thread");
                }
            }
            Err(error) => self.complain(error),
        }
    }

    pub(super) fn failure(&self, action: &str, error: KafkaError) -> Error {
        of_member(action, &self.group, &self.topic, error)
    }

    fn complain(&mut self, error: Error) {
        if std::mem::replace(&mut self.complained, true) {
            tracing::debug!(%error, topic = %self.topic, "still failing");
            return;
        }
        self.tell(Notice::Failed(error));
    }

    fn tell(&mut self, notice: Notice) {
        // Records stop at the reserve, so a full channel means a thousand untaken changes of ownership: give up the member
        // rather than one of them.
        if self.notices.try_send(notice).is_err() {
            self.shared.leave.store(true, Ordering::Release);
        }
    }
}

/// Makes a member of the group. Its queue wakes the thread.
fn subscribe(
    config: &KafkaConfig,
    group: &str,
    topic: &TopicName,
    wake: &SyncSender<Command>,
    shared: &Arc<Shared>,
) -> Result<BaseConsumer<Membership>, Error> {
    let mut consumer: BaseConsumer<Membership> = config
        .member(group)
        .create_with_context(Membership::new(topic))
        .map_err(|error| of_call("make a Kafka consumer", error))?;
    let (wake, shared) = (wake.clone(), Arc::clone(shared));
    consumer.set_nonempty_callback(move || {
        if !shared.awake.swap(true, Ordering::AcqRel) && wake.try_send(Command::Wake).is_err() {
            // The thread is busy with what fills the channel, and polls after it.
            shared.awake.store(false, Ordering::Release);
        }
    });
    consumer
        .subscribe(&[&topic.0])
        .map_err(|error| of_topic("join a group", topic, error))?;
    Ok(consumer)
}
