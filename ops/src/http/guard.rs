//! Which requests are taken at all: none that a web page of somebody else can make a browser send.
//!
//! The API has no authentication, so whoever reaches its port may use it. A browser on the same machine reaches it on behalf
//! of every page it shows. Three rules keep such requests out: a foreign `Origin` is refused, a body must be declared as
//! `application/json` (which a page cannot send across origins without asking first), and on a loopback address the `Host`
//! must be a name of this machine (a page whose name was made to resolve to 127.0.0.1 still sends its own name).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};

/// Which `Host` headers are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostRule {
    /// Any: the server does not know its names.
    Any,
    /// Names and addresses of this machine, and these names.
    Only(BTreeSet<String>),
}

impl HostRule {
    /// The rule for a server on this address, which is also reached by these names.
    pub(crate) fn of(bound: SocketAddr, allowed: &[String]) -> Self {
        if bound.ip().is_loopback() || !allowed.is_empty() {
            Self::Only(allowed.iter().map(|name| name.to_lowercase()).collect())
        } else {
            Self::Any
        }
    }

    fn takes(&self, host: &str) -> bool {
        let Self::Only(allowed) = self else {
            return true;
        };
        let name = host_name(host).to_lowercase();
        name == "localhost"
            || allowed.contains(&name)
            || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

/// The host of `host:port`, without brackets.
fn host_name(authority: &str) -> &str {
    let authority = authority.trim();
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

/// A request that is not taken: the status and the text for whoever sent it.
pub(crate) type Refusal = (StatusCode, String);

/// Judges a request by its head.
///
/// # Errors
/// 403 for a foreign `Host` or `Origin`, 415 for a body that is not declared as JSON.
pub(crate) fn judge(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    has_body: bool,
    hosts: &HostRule,
) -> Result<(), Refusal> {
    let host = one_host(uri, headers)?;
    if let Some(host) = &host
        && !hosts.takes(host)
    {
        return Err(forbidden(format!(
            "Host {host:?} is not a name of this server; use its address, or start it with --allow-host NAME"
        )));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let own = origin
            .split_once("://")
            .zip(host.as_ref())
            .is_some_and(|((_, authority), host)| authority.eq_ignore_ascii_case(host));
        if !own {
            return Err(forbidden(format!(
                "requests from web pages of another origin ({origin}) are refused"
            )));
        }
    }
    let reads_only = method == Method::GET || method == Method::HEAD;
    let foreign_page = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none");
    if foreign_page && !reads_only {
        return Err(forbidden(
            "requests from web pages of another site are refused".to_owned(),
        ));
    }
    if has_body && !is_json(headers) {
        return Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the request body must be JSON; send the header Content-Type: application/json (curl: \
             -H 'Content-Type: application/json')"
                .to_owned(),
        ));
    }
    Ok(())
}

fn one_host(uri: &Uri, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(header::HOST).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(forbidden("the request has several Host headers".to_owned()));
    }
    let authority = uri.authority().map(ToString::to_string);
    let header = first.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    Ok(authority.or(header))
}

/// A body without a declared type is taken from programs that are no browser: those always send `Origin` or `Sec-Fetch-*`.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (None, _) => {
            !headers.contains_key(header::ORIGIN)
                && !headers
                    .keys()
                    .any(|name| name.as_str().starts_with("sec-fetch-"))
        }
        (Some(value), None) => value.to_str().is_ok_and(|value| {
            let kind = value.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        }),
        (Some(_), Some(_)) => false,
    }
}

fn forbidden(text: String) -> Refusal {
    (StatusCode::FORBIDDEN, text)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn verdict(method: Method, list: &[(&'static str, &'static str)], bound: &str) -> u16 {
        let headers: HeaderMap = list
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let rule = HostRule::of(bound.parse().unwrap(), &["Ccr.example.com".to_owned()]);
        let rule = if bound.starts_with("0.") {
            HostRule::of(bound.parse().unwrap(), &[])
        } else {
            rule
        };
        let has_body = method == Method::POST;
        match judge(
            &method,
            &Uri::from_static("/delete"),
            &headers,
            has_body,
            &rule,
        ) {
            Ok(()) => 200,
            Err((status, _)) => status.as_u16(),
        }
    }

    #[test]
    fn requests_of_foreign_pages_are_refused_and_those_of_programs_taken() {
        const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
        const HERE: (&str, &str) = ("host", "localhost:9190");
        let loopback = "127.0.0.1:9190";
        for (expected, headers) in [
            (200, vec![HERE, JSON]),
            (200, vec![JSON]),
            (200, vec![HERE]),
            (200, vec![("host", "127.0.0.1:9190"), JSON]),
            (200, vec![("host", "[::1]:9190"), JSON]),
            (200, vec![("host", "ccr.example.com"), JSON]),
            (200, vec![HERE, JSON, ("origin", "http://localhost:9190")]),
            (415, vec![HERE, ("content-type", "text/plain")]),
            (
                415,
                vec![HERE, ("content-type", "application/x-www-form-urlencoded")],
            ),
            (415, vec![HERE, JSON, JSON]),
            (415, vec![HERE, ("sec-fetch-site", "same-origin")]),
            (415, vec![HERE, ("origin", "http://localhost:9190")]),
            (403, vec![HERE, JSON, ("origin", "http://evil.example")]),
            (403, vec![HERE, JSON, ("origin", "null")]),
            (403, vec![HERE, JSON, ("origin", "http://localhost:8080")]),
            (403, vec![HERE, JSON, ("sec-fetch-site", "cross-site")]),
            (403, vec![("host", "evil.example:9190"), JSON]),
            (403, vec![HERE, ("host", "evil.example"), JSON]),
        ] {
            assert_eq!(
                verdict(Method::POST, &headers, loopback),
                expected,
                "{headers:?}"
            );
        }
        assert_eq!(
            verdict(Method::GET, &[("host", "evil.example")], loopback),
            403
        );
        assert_eq!(
            verdict(Method::POST, &[("host", "ccr1:9190"), JSON], "0.0.0.0:9190"),
            200
        );
    }
}
