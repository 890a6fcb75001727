//! Backup and restore: the `list` of jobs, what each is (`head`, `backup_job`, `restore_job`), and how it goes on (`run`, `backup`, `restore` with `restore_plan` and `restore_finish`).

pub(crate) mod backup;
pub(crate) mod backup_job;
pub(crate) mod head;
pub(crate) mod list;
pub(crate) mod restore;
pub(crate) mod restore_finish;
pub(crate) mod restore_job;
pub(crate) mod restore_plan;
pub(crate) mod run;
