//! Greeting and authentication by `mysql_native_password`.

use std::io;

use mysql_common::constants::{CapabilityFlags, StatusFlags};
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::encode;
use crate::packets::{Packets, invalid, parse};
use crate::service::{Refusal, Service};

/// Version of the protocol.
const PROTOCOL: u8 = 10;
/// `utf8_general_ci`.
const COLLATION: u8 = 33;
const PLUGIN: &[u8] = b"mysql_native_password";

/// What the server can do. CLIENT_LONG_FLAG: without it clients read one byte of column flags and take the second for the
/// decimals.
fn capabilities() -> CapabilityFlags {
    CapabilityFlags::CLIENT_LONG_FLAG
        | CapabilityFlags::CLIENT_CONNECT_WITH_DB
        | CapabilityFlags::CLIENT_PROTOCOL_41
        | CapabilityFlags::CLIENT_SECURE_CONNECTION
        | CapabilityFlags::CLIENT_PLUGIN_AUTH
        | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
}

/// Greets the client and lets it in. Returns what the client can do; `None` when it was refused or went away.
pub(crate) async fn shake_hands<T, S>(
    packets: &mut Packets<T>,
    service: &mut S,
) -> io::Result<Option<CapabilityFlags>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    S: Service,
{
    let salt = service.salt();
    let (first, rest) = salt
        .split_first_chunk::<8>()
        .ok_or_else(|| invalid("a short salt"))?;
    // Both halves of the salt end with a zero on the wire.
    let rest = [rest, &[0]].concat();
    packets
        .write_packet(&HandshakePacket::new(
            PROTOCOL,
            service.version().into_bytes(),
            service.connection_id(),
            *first,
            Some(rest),
            capabilities(),
            COLLATION,
            StatusFlags::empty(),
            Some(PLUGIN),
        ))
        .await?;
    packets.flush().await?;
    let Some(answer) = packets.read().await? else {
        return Ok(None);
    };
    let flags = answer.first_chunk().map(|flags| u32::from_le_bytes(*flags));
    let flags = CapabilityFlags::from_bits_truncate(flags.unwrap_or(0));
    if !flags.contains(CapabilityFlags::CLIENT_PROTOCOL_41) {
        return Err(invalid("a client of MySQL before 4.1"));
    }
    if flags.contains(CapabilityFlags::CLIENT_SSL) {
        return Err(invalid("a client that asks for TLS, which was not offered"));
    }
    // Clients name flags that were not offered and leave the fields of these out.
    let common = flags & capabilities();
    let mut answer = answer;
    answer.splice(..4, common.bits().to_le_bytes());
    let answer: HandshakeResponse<'_> = parse(&answer)?;
    let user = String::from_utf8_lossy(answer.user());
    let native = answer
        .auth_plugin()
        .is_none_or(|plugin| *plugin == AuthPlugin::MysqlNativePassword);
    let proof = if native {
        answer.scramble_buf().to_vec()
    } else {
        let salt = [salt.as_slice(), &[0]].concat();
        packets
            .write_packet(&AuthSwitchRequest::new(PLUGIN, salt))
            .await?;
        packets.flush().await?;
        match packets.read().await? {
            Some(proof) => proof,
            None => return Ok(None),
        }
    };
    let database = String::from_utf8_lossy(answer.db_name().unwrap_or_default());
    let entered = match service.log_in(&user, &proof) {
        Ok(()) if database.is_empty() => Ok(()),
        Ok(()) => service.use_database(&database).await,
        Err(refusal) => Err(refusal),
    };
    let entered: Result<(), Refusal> = entered;
    match &entered {
        Ok(()) => packets.write(&encode::ok(0, "", false)).await?,
        Err(refusal) => packets.write(&encode::error(refusal)).await?,
    }
    packets.flush().await?;
    Ok(entered.is_ok().then_some(flags))
}

/// Checks a proof of `mysql_native_password`: SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))). An empty password has an
/// empty proof.
#[must_use]
pub fn proves(password: &str, salt: &[u8], proof: &[u8]) -> bool {
    if password.is_empty() || proof.is_empty() {
        return password.is_empty() && proof.is_empty();
    }
    let once = Sha1::digest(password.as_bytes());
    let twice = Sha1::digest(once);
    let mask = Sha1::new()
        .chain_update(salt)
        .chain_update(twice)
        .finalize();
    proof.len() == once.len()
        && once
            .iter()
            .zip(mask)
            .map(|(own, mask)| own ^ mask)
            .eq(proof.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_proven_without_being_sent() {
        let salt = *b"abcdefghijklmnopqrst";
        let once = Sha1::digest(b"secret");
        let mask = Sha1::new()
            .chain_update(salt)
            .chain_update(Sha1::digest(once))
            .finalize();
        let proof: Vec<u8> = once
            .iter()
            .zip(mask)
            .map(|(own, mask)| own ^ mask)
            .collect();
        assert!(proves("secret", &salt, &proof));
        assert!(!proves("other", &salt, &proof));
        assert!(!proves("", &salt, &proof));
        assert!(!proves("secret", &salt, &[]));
        assert!(proves("", &salt, &[]));
    }
}
