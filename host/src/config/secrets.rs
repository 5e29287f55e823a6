//! Which parts of a setting nobody should read over a shoulder.

/// Words whose values are secrets, wherever they stand in a name.
const SECRET_NAMES: [&str; 4] = ["password", "passwd", "secret", "token"];

/// What is shown in place of a secret.
const MASK: &str = "***";

/// The text with the password of every URL, and the value of everything that is called a password, masked.
pub fn without_secrets(text: &str) -> String {
    mask_named(&mask_userinfo(text))
}

/// `scheme://user:secret@host`. The last `@` ends the secret, wherever it stands: a slash that should have
/// been escaped must not uncover the password, and what is masked too much does no harm.
fn mask_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.rsplit_once('@').and_then(|(userinfo, host)| Some((userinfo.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:{MASK}@{host}"),
        None => text.to_owned(),
    }
}

/// `password=secret`, alone or among the parts of a DSN or a query.
fn mask_named(text: &str) -> String {
    text.split_inclusive([';', '&', '?'])
        .map(|part| {
            let end = part.trim_end_matches([';', '&', '?']);
            match end.split_once('=') {
                Some((name, _)) if is_secret(name) => format!("{name}={MASK}{}", &part[end.len()..]),
                _ => part.to_owned(),
            }
        })
        .collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        let masked = [
            ("postgres://grid:s3cret@db/grid", "postgres://grid:***@db/grid"),
            ("mysql://grid:s3/cr?@t@db:3306/grid?ssl=1", "mysql://grid:***@db:3306/grid?ssl=1"),
            ("postgres://grid:s3cr@t@db", "postgres://grid:***@db"),
            (
                "postgres://db/grid?user=grid&password=s3cret&ssl=1",
                "postgres://db/grid?user=grid&password=***&ssl=1",
            ),
            ("dbi:mysql:database=g;password=s3cret;port=3306", "dbi:mysql:database=g;password=***;port=3306"),
            ("password=s3cret", "password=***"),
            ("api_token=s3cret=", "api_token=***"),
            ("username=grid", "username=grid"),
            ("sqlite:/home/u/grid.db", "sqlite:/home/u/grid.db"),
        ];
        for (text, shown) in masked {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
