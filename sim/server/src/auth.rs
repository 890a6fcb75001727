//! Who may call what: missing fields, passwords and privileges of the frontend's RPCs.

use std::net::IpAddr;

use dorisim_fe::{Frontend, RpcError};

/// The account fields of a request.
#[derive(Debug)]
pub struct Account<'a> {
    /// `user`
    pub user: Option<&'a String>,
    /// `passwd`
    pub passwd: Option<&'a String>,
    /// `user_ip`, or the peer where the RPC takes that.
    pub ip: Option<String>,
    /// `token`; a non-empty one skips the checks.
    pub token: Option<&'a String>,
}

impl Account<'_> {
    /// True when a non-empty token came.
    pub fn by_token(&self) -> bool {
        self.token.is_some_and(|token| !token.is_empty())
    }
}

/// What has to be granted.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// `SELECT`, `LOAD`.
    pub privilege: &'a str,
    /// Database.
    pub db: &'a str,
    /// Table; none: on the database.
    pub table: Option<&'a str>,
}

/// Takes a field that must be set.
///
/// # Errors
/// `<name> is not set`.
pub fn need<T>(value: Option<T>, name: &str) -> Result<T, RpcError> {
    value.ok_or_else(|| RpcError::analysis(format!("{name} is not set")))
}

/// The text form of the peer.
pub fn peer_ip(peer: IpAddr) -> Option<String> {
    Some(peer.to_string())
}

/// Checks user and password only.
///
/// # Errors
/// `Access denied for user ...`.
pub fn authenticate(fe: &Frontend, account: &Account<'_>) -> Result<String, RpcError> {
    let user = need(account.user, "user")?;
    let passwd = need(account.passwd, "passwd")?;
    // `user@host` and a cluster prefix name the same account.
    let name = user.split('@').next().unwrap_or(user);
    let name = name.rsplit(':').next().unwrap_or(name);
    if fe.password_of(name).as_ref() == Some(passwd) {
        return Ok(name.to_owned());
    }
    let ip = account.ip.as_deref().unwrap_or("null");
    Err(denied(user, ip))
}

/// Checks user and password where missing members count as null instead of being refused by themselves.
///
/// # Errors
/// `Access denied for user ...`.
pub fn authenticate_null(fe: &Frontend, account: &Account<'_>) -> Result<String, RpcError> {
    if account.user.is_some() && account.passwd.is_some() {
        return authenticate(fe, account);
    }
    let user = account.user.map_or("null", String::as_str);
    Err(denied(user, account.ip.as_deref().unwrap_or("null")))
}

/// The refusal of an account; it says that a password was used also where an empty one was.
fn denied(user: &str, ip: &str) -> RpcError {
    RpcError::analysis(format!(
        "Access denied for user '{user}@{ip}' (using password: YES)"
    ))
}

/// Checks user, password and privilege, unless a token came.
///
/// # Errors
/// Missing fields and refusals as the FE words them.
pub fn authorize(fe: &Frontend, account: &Account<'_>, need: Need<'_>) -> Result<(), RpcError> {
    if account.by_token() {
        return Ok(());
    }
    let user = authenticate(fe, account)?;
    if fe.has_privilege(&user, need.privilege, Some(need.db), need.table) {
        return Ok(());
    }
    Err(RpcError::analysis(format!(
        "Access denied; you need (at least one of) the ({}) privilege(s) for this operation",
        need.privilege
    )))
}
