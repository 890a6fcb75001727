//! Users, passwords in clear (a simulation needs them for both MySQL and Thrift) and privileges.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use dorisim_model::Tracked;

/// A granted privilege: name without `_PRIV`, and the scope `db.table` with `*` for all.
type Grant = (String, String, String);

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    password: String,
    grants: BTreeSet<Grant>,
}

/// All accounts. `root` and `admin` may everything.
#[derive(Serialize)]
pub struct Accounts {
    pub(crate) users: Tracked<String, Account>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.users.keys()).finish()
    }
}

impl Default for Accounts {
    fn default() -> Self {
        let users = ["root", "admin"].map(|name| (name.to_owned(), Account::default()));
        Self {
            users: users.into_iter().collect(),
        }
    }
}

impl Accounts {
    /// Password of a user.
    #[must_use]
    pub fn password(&self, user: &str) -> Option<&str> {
        self.users.get(user).map(|a| a.password.as_str())
    }

    /// Sets a password; false for unknown users.
    pub fn set_password(&mut self, user: &str, password: &str) -> bool {
        self.users
            .get_mut(user)
            .map(|a| password.clone_into(&mut a.password))
            .is_some()
    }

    /// Adds a user; false when the name is taken.
    pub fn create(&mut self, user: &str, password: &str) -> bool {
        if self.users.contains_key(user) {
            return false;
        }
        self.users.insert(
            user.to_owned(),
            Account {
                password: password.to_owned(),
                grants: BTreeSet::new(),
            },
        );
        true
    }

    /// Removes a user; false for unknown ones.
    pub fn drop_user(&mut self, user: &str) -> bool {
        self.users.remove(user).is_some()
    }

    /// Grants; false for unknown users.
    pub fn grant(&mut self, user: &str, privileges: &[String], on: &str) -> bool {
        let (db, table) = scope(on);
        self.users
            .get_mut(user)
            .map(|a| {
                a.grants.extend(
                    privileges
                        .iter()
                        .map(|p| (short(p), db.clone(), table.clone())),
                )
            })
            .is_some()
    }

    /// Revokes; false for unknown users.
    pub fn revoke(&mut self, user: &str, privileges: &[String], on: &str) -> bool {
        let (db, table) = scope(on);
        let gone: BTreeSet<Grant> = privileges
            .iter()
            .map(|p| (short(p), db.clone(), table.clone()))
            .collect();
        self.users
            .get_mut(user)
            .map(|a| a.grants.retain(|g| !gone.contains(g)))
            .is_some()
    }

    /// True when the user holds the privilege on the object; `None` asks for everything at that level.
    #[must_use]
    pub fn allows(
        &self,
        user: &str,
        privilege: &str,
        db: Option<&str>,
        table: Option<&str>,
    ) -> bool {
        let Some(account) = self.users.get(user) else {
            return false;
        };
        if matches!(user, "root" | "admin") {
            return true;
        }
        let fits = |granted: &str, asked: Option<&str>| granted == "*" || asked == Some(granted);
        account.grants.iter().any(|(p, d, t)| {
            (p == privilege || p == "ADMIN" || p == "ALL") && fits(d, db) && fits(t, table)
        })
    }
}

impl Accounts {
    /// True when the user holds any privilege on the database or on something in it.
    #[must_use]
    pub fn sees(&self, user: &str, db: &str) -> bool {
        matches!(user, "root" | "admin")
            || self.users.get(user).is_some_and(|account| {
                let mut scopes = account.grants.iter().map(|(_, scope, _)| scope);
                scopes.any(|scope| scope == "*" || scope == db)
            })
    }
}

fn short(privilege: &str) -> String {
    let upper = privilege.trim().to_ascii_uppercase();
    let upper = upper.strip_suffix("_PRIV").unwrap_or(&upper);
    if upper.starts_with("ALL") {
        "ALL".to_owned()
    } else {
        upper.to_owned()
    }
}

/// `internal.db.table`, `db.table`, `db`, `*`.
fn scope(on: &str) -> (String, String) {
    let mut parts: Vec<&str> = on.split('.').map(|p| p.trim().trim_matches('`')).collect();
    if parts.len() == 3 {
        parts.remove(0);
    }
    let part = |i: usize| parts.get(i).copied().unwrap_or("*").to_owned();
    (part(0), part(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_have_a_scope() {
        let mut accounts = Accounts::default();
        assert!(accounts.create("u", "secret") && !accounts.create("u", "x"));
        assert!(accounts.grant("u", &["SELECT_PRIV".to_owned()], "internal.sales.*"));
        assert!(accounts.allows("u", "SELECT", Some("sales"), Some("t")));
        assert!(!accounts.allows("u", "SELECT", Some("other"), None));
        assert!(!accounts.allows("u", "LOAD", Some("sales"), None));
        assert!(accounts.allows("root", "ADMIN", None, None));
        accounts.revoke("u", &["SELECT".to_owned()], "sales.*");
        assert!(!accounts.allows("u", "SELECT", Some("sales"), Some("t")));
        assert!(!format!("{accounts:?}").contains("secret"));
    }
}
