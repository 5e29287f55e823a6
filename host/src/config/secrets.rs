//! Which parts of a setting are secret, and must not be shown.

/// A setting is a secret if its name contains one of these words.
const SECRET_NAMES: [&str; 4] = ["password", "passwd", "secret", "token"];

/// What is shown in place of a secret.
const MASK: &str = "***";

/// The text, in which the password of every URL and the value of everything called a password are masked.
pub(super) fn without_secrets(text: &str) -> String {
    mask_named(&mask_userinfo(text))
}

/// `scheme://user:secret@host`. The last `@` ends the secret, wherever it is: a slash that should have been
/// escaped must not reveal the password, and masking too much does no harm.
fn mask_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    match rest.rsplit_once('@').and_then(|(userinfo, host)| Some((userinfo.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:{MASK}@{host}"),
        None => text.to_owned(),
    }
}

/// `password=secret`, alone or among the parts of a DSN or a query. If the whole text has such a name, its
/// whole value is masked.
fn mask_named(text: &str) -> String {
    if let Some((name, _)) = text.split_once('=').filter(|(name, _)| is_secret(name)) {
        return format!("{name}={MASK}");
    }
    text.split_inclusive([';', '&', '?', ' ']).map(mask_part).collect()
}

/// One part. The name of the secret may come after the name of the whole: `dsn=dbi:Pg:password=secret`.
fn mask_part(part: &str) -> String {
    let end = part.trim_end_matches([';', '&', '?', ' ']);
    let after_secret = end.match_indices('=').map(|(at, _)| at).find(|at| is_secret(&end[..*at]));
    match after_secret {
        Some(at) => format!("{}={MASK}{}", &end[..at], &part[end.len()..]),
        None => part.to_owned(),
    }
}

/// The name of a file with a secret is not secret itself.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('_', "-");
    !name.ends_with("-file") && SECRET_NAMES.iter().any(|secret| name.contains(secret))
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
            ("dbi:Pg:dbname=g user=me password=s3cret host=h", "dbi:Pg:dbname=g user=me password=*** host=h"),
            ("dsn=dbi:Pg:password=s3cret;dbname=g", "dsn=dbi:Pg:password=***;dbname=g"),
            ("password=s3 cr;et", "password=***"),
            ("password-file=/etc/grid", "password-file=/etc/grid"),
            ("username=grid", "username=grid"),
            ("sqlite:/home/u/grid.db", "sqlite:/home/u/grid.db"),
        ];
        for (text, shown) in masked {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
