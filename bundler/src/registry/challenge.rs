// SPDX-License-Identifier: MIT OR Apache-2.0
//! `WWW-Authenticate`: how a registry wants to be asked (RFC 9110, 11.6.1).

/// One way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token from an authorization service.
    Bearer {
        /// Address of the service.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
        /// What the token is for.
        scope: Option<String>,
    },
}

/// Reads the challenges of one header that are understood, in order.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = header;
    let mut challenges = Vec::new();
    while let Some((scheme, after)) = word(rest) {
        let mut params = Vec::new();
        rest = after;
        while let Some((name, value, after)) = parameter(rest) {
            params.push((name.to_ascii_lowercase(), value));
            rest = after;
        }
        let find = |name: &str| {
            let found = params.iter().find(|(n, _)| n == name);
            found
                .map(|(_, value)| value.clone())
                .filter(|v| !v.is_empty())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = find("realm")
        {
            let (service, scope) = (find("service"), find("scope"));
            challenges.push(Challenge::Bearer {
                realm,
                service,
                scope,
            });
        }
    }
    challenges
}

/// The next word, after spaces and commas.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let end = text.find(|c: char| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// The next `name=value`; `None` when what follows is another challenge.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = word(text)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, rest) = word(rest)?;
        return Some((name, value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_has_realm_service_and_scope() {
        let header = r#"Bearer realm="https://a.test/token",service="r.test",scope="repository:a/b:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://a.test/token".into(),
            service: Some("r.test".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(parse(header), [expected]);
    }

    #[test]
    fn several_challenges_and_odd_spacing_are_read() {
        let found = parse(r#"Negotiate, bearer realm = "x\"y" , service=s, BASIC realm="r, s=t""#);
        let bearer = Challenge::Bearer {
            realm: "x\"y".into(),
            service: Some("s".into()),
            scope: None,
        };
        assert_eq!(found, [bearer, Challenge::Basic]);
    }

    #[test]
    fn broken_headers_end_and_give_nothing() {
        for header in [
            "",
            "Bearer",
            "Bearer realm=\"x",
            "=,=",
            "\"\"",
            "Bearer realm=",
            "\u{e9}",
        ] {
            assert_eq!(parse(header), [], "{header}");
        }
    }
}
