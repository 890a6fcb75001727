//! Who sends a request, and whether they may.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use dorisim_fe::Frontend;

/// User and password of a request. Never shown.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Login {
    /// Reads the Basic authorization.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let decoded = STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The account's name: what stands behind `@` is a cluster of old.
    pub(super) fn account(&self) -> &str {
        self.user.split('@').next().unwrap_or(&self.user)
    }

    /// True when the password is the account's.
    pub(super) fn is_right(&self, frontend: &Frontend) -> bool {
        frontend.password_of(self.account()).as_ref() == Some(&self.password)
    }

    /// The refusal of a wrong password.
    pub(super) fn denial(&self) -> String {
        let using = if self.password.is_empty() {
            "NO"
        } else {
            "YES"
        };
        format!(
            "Access denied for user '{}@127.0.0.1' (using password: {using})",
            self.account()
        )
    }
}
