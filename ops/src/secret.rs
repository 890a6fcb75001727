//! Values that must not be shown, and how they are sealed before they enter the log.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, AeadCore, OsRng};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// A value without `Display`, without `Serialize`, and with a redacted `Debug`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// Wraps.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Why sealing or opening failed.
#[derive(Debug, Error)]
pub enum SealError {
    /// The key text is not 32 bytes of base64.
    #[error("the log key must be 32 bytes in base64 (make one with `ccr keygen`)")]
    BadKey,
    /// The sealed text is damaged, or was sealed with another key.
    #[error(
        "cannot open a sealed value: it is damaged, or was sealed with another log key than the one of this process"
    )]
    CannotOpen,
    /// The cipher refused the input.
    #[error("cannot seal a value")]
    CannotSeal,
}

/// Seals secrets (passwords, download tokens) that have to travel through the log. XChaCha20-Poly1305 under one key that
/// all producers and appliers of an installation share.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(<secret>)")
    }
}

impl Sealer {
    /// From the base64 text of a 32-byte key.
    ///
    /// # Errors
    /// [`SealError::BadKey`].
    pub fn from_base64(text: &str) -> Result<Self, SealError> {
        let key = STANDARD
            .decode(text.trim())
            .map_err(|_| SealError::BadKey)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| SealError::BadKey)?;
        Ok(Self { cipher })
    }

    /// A fresh key as base64 text.
    #[allow(
        clippy::disallowed_methods,
        reason = "keys need the system's randomness"
    )]
    pub fn generate_key() -> Secret {
        Secret::new(STANDARD.encode(XChaCha20Poly1305::generate_key(&mut OsRng)))
    }

    /// Seals to base64 text: a random nonce followed by the ciphertext.
    ///
    /// # Errors
    /// [`SealError::CannotSeal`].
    #[allow(
        clippy::disallowed_methods,
        reason = "nonces need the system's randomness"
    )]
    pub fn seal(&self, plain: &Secret) -> Result<String, SealError> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let sealed = self
            .cipher
            .encrypt(&nonce, plain.expose().as_bytes())
            .map_err(|_| SealError::CannotSeal)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(STANDARD.encode(bytes))
    }

    /// Opens what [`Sealer::seal`] made.
    ///
    /// # Errors
    /// [`SealError::CannotOpen`].
    pub fn open(&self, sealed: &str) -> Result<Secret, SealError> {
        let bytes = STANDARD.decode(sealed).map_err(|_| SealError::CannotOpen)?;
        let (nonce, body) = bytes.split_at_checked(24).ok_or(SealError::CannotOpen)?;
        let plain = self
            .cipher
            .decrypt(XNonce::from_slice(nonce), body)
            .map_err(|_| SealError::CannotOpen)?;
        String::from_utf8(plain)
            .map(Secret::new)
            .map_err(|_| SealError::CannotOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_values_open_only_with_their_key() {
        let key = Sealer::generate_key();
        let sealer = Sealer::from_base64(key.expose()).expect("own key");
        let sealed = sealer.seal(&Secret::new("pa55".to_owned())).expect("seal");
        assert!(!sealed.contains("pa55"));
        assert_eq!(sealer.open(&sealed).expect("open").expose(), "pa55");
        let other = Sealer::from_base64(Sealer::generate_key().expose()).expect("own key");
        assert!(other.open(&sealed).is_err());
        assert!(sealer.open("AAAA").is_err());
        assert_eq!(format!("{:?}", Secret::new("pa55")), "<secret>");
    }
}
