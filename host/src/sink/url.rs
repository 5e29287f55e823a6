//! Where a sink is: `csv:DIR`, `sqlite:FILE?table=T`, `postgres://…?table=T`, `mysql://…?table=T`. It owns
//! how they are written, and opens nothing.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::narrow::LongTexts;
use crate::database::{AddressError, Server, ServerKind, percent};

/// Where a slave puts rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SinkUrl {
    /// Files in a directory.
    Csv(PathBuf),
    /// A table in a SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The table in it.
        table: TableName,
    },
    /// A table in a database on a server.
    Server {
        /// The database.
        server: Server,
        /// The table in it.
        table: TableName,
        /// What becomes of texts that its columns cannot hold.
        overlong: LongTexts,
    },
}

/// A table, with its schema (in MySQL, its database) if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    /// The part before the dot.
    pub schema: Option<String>,
    /// The table itself.
    pub table: String,
}

/// The table in which sinks note which records they have.
pub(super) const LEDGER_TABLE: &str = "simplegrid_ledger";

/// Why a text is not the URL of a sink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SinkUrlError {
    /// It is in none of the forms.
    #[error(
        "it is not a sink; write csv:DIRECTORY, sqlite:FILE?table=T, postgres://HOST/DATABASE?table=T or \
         mysql://HOST/DATABASE?table=T"
    )]
    Unknown,
    /// It names no table.
    #[error("it names no table; write {example}")]
    NoTable {
        /// How it is written.
        example: &'static str,
    },
    /// It names no directory or file.
    #[error("it names no {what}; write {example}")]
    NoPlace {
        /// What is missing.
        what: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// It names a table that cannot exist.
    #[error("`{name}` cannot be the name of its table: {why}")]
    BadTable {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// It has a setting that sinks do not know.
    #[error("it has an unknown setting `{0}`; the only one is `table`")]
    UnknownSetting(String),
    /// It says something else about long texts.
    #[error("its setting overlong={0} is not known; write overlong=shorten or overlong=refuse")]
    Overlong(String),
    /// Its server is named in a way that cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A percent sign is not followed by two digits, or the bytes are not UTF-8.
    #[error("the name of its table has a broken %-encoding")]
    Encoding,
}

impl SinkUrl {
    /// Whether rows go into a table.
    pub(crate) fn is_table(&self) -> bool {
        !matches!(self, Self::Csv(_))
    }

    /// Whether it is on a server and has no password.
    pub(crate) fn wants_password(&self) -> bool {
        matches!(self, Self::Server { server, .. } if server.password.is_none())
    }

    /// The same with a password that was given separately. A sink that needs no password ignores it.
    #[must_use]
    pub(crate) fn with_password(self, password: &str) -> Self {
        match self {
            Self::Server { server, table, overlong } => {
                let server = server.with_credentials(None, Some(password.to_owned()));
                Self::Server { server, table, overlong }
            }
            other => other,
        }
    }
}

impl FromStr for SinkUrl {
    type Err = SinkUrlError;

    fn from_str(text: &str) -> Result<Self, SinkUrlError> {
        if let Some(server) = Server::from_url(text) {
            return of_server(server?);
        }
        let Some((scheme, rest)) = text.split_once(':') else { return Err(SinkUrlError::Unknown) };
        match scheme.to_ascii_lowercase().as_str() {
            "csv" if rest.is_empty() => {
                Err(SinkUrlError::NoPlace { what: "directory", example: "csv:DIRECTORY" })
            }
            "csv" => Ok(Self::Csv(rest.strip_prefix("//").unwrap_or(rest).into())),
            "sqlite" => sqlite(rest),
            _ => Err(SinkUrlError::Unknown),
        }
    }
}

/// In a form that can be read back. A server's password and settings are left out.
impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |table: &TableName| percent::encoded(&table.to_string());
        match self {
            Self::Csv(directory) => write!(f, "csv:{}", directory.display()),
            Self::Sqlite { path, table } => write!(f, "sqlite:{}?table={}", path.display(), encoded(table)),
            Self::Server { server, table, overlong } => {
                write!(f, "{server}?table={}", encoded(table))?;
                if *overlong == LongTexts::Refuse { f.write_str("&overlong=refuse") } else { Ok(()) }
            }
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.table)
    }
}

fn of_server(mut server: Server) -> Result<SinkUrl, SinkUrlError> {
    let example = match server.kind {
        ServerKind::Postgres => "postgres://HOST/DATABASE?table=T",
        ServerKind::Mysql => "mysql://HOST/DATABASE?table=T",
    };
    let table = server.take_setting("table").ok_or(SinkUrlError::NoTable { example })?;
    let overlong = match server.take_setting("overlong").as_deref() {
        None | Some("shorten") => LongTexts::Shorten,
        Some("refuse") => LongTexts::Refuse,
        Some(other) => return Err(SinkUrlError::Overlong(other.to_owned())),
    };
    server.check()?;
    Ok(SinkUrl::Server { server, table: TableName::parse(&decoded(&table)?)?, overlong })
}

fn sqlite(rest: &str) -> Result<SinkUrl, SinkUrlError> {
    const EXAMPLE: &str = "sqlite:FILE?table=T";
    let (file, query) = rest.rsplit_once('?').unwrap_or((rest, ""));
    let file = file.strip_prefix("//").unwrap_or(file);
    let (table, others) = table_of(query)?;
    if let Some((name, _)) = others.first() {
        return Err(SinkUrlError::UnknownSetting((*name).to_owned()));
    }
    if file.is_empty() || file == ":memory:" {
        return Err(SinkUrlError::NoPlace { what: "file", example: EXAMPLE });
    }
    let table = table.ok_or(SinkUrlError::NoTable { example: EXAMPLE })?;
    Ok(SinkUrl::Sqlite { path: file.into(), table })
}

/// Settings other than the table, as they were written.
type Others<'a> = Vec<(&'a str, &'a str)>;

/// Takes the table out of a query.
fn table_of(query: &str) -> Result<(Option<TableName>, Others<'_>), SinkUrlError> {
    let settings = query.split('&').filter(|setting| !setting.is_empty());
    let mut table = None;
    let mut others = Vec::new();
    for (name, value) in settings.map(|setting| setting.split_once('=').unwrap_or((setting, ""))) {
        if name == "table" {
            table = Some(TableName::parse(&decoded(value)?)?);
        } else {
            others.push((name, value));
        }
    }
    Ok((table, others))
}

impl TableName {
    /// `TABLE` or `SCHEMA.TABLE`.
    fn parse(name: &str) -> Result<Self, SinkUrlError> {
        let bad = |why| SinkUrlError::BadTable { name: name.to_owned(), why };
        let parts: Vec<_> = name.split('.').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(bad("a part of it is empty"));
        }
        if name.contains('\0') {
            return Err(bad("it contains a NUL"));
        }
        if parts.last() == Some(&LEDGER_TABLE) {
            return Err(bad("sinks keep their ledger there"));
        }
        match parts[..] {
            [table] => Ok(Self { schema: None, table: table.to_owned() }),
            [schema, table] => Ok(Self { schema: Some(schema.to_owned()), table: table.to_owned() }),
            _ => Err(bad("it has more than one dot")),
        }
    }

    /// The ledger beside it.
    pub(crate) fn ledger(&self) -> Self {
        Self { schema: self.schema.clone(), table: LEDGER_TABLE.to_owned() }
    }

    /// As SQL wants it, in these quotes.
    pub(crate) fn quoted(&self, quote: char) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema, quote), quoted(&self.table, quote)),
            None => quoted(&self.table, quote),
        }
    }
}

/// A name as SQL wants it, whatever characters it has.
pub(super) fn quoted(name: &str, quote: char) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push(quote);
    for character in name.chars() {
        if character == quote {
            text.push(quote);
        }
        text.push(character);
    }
    text.push(quote);
    text
}

fn decoded(text: &str) -> Result<String, SinkUrlError> {
    percent::decoded(text).ok_or(SinkUrlError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SinkUrl, SinkUrlError> {
        text.parse()
    }

    #[test]
    fn what_it_prints_can_be_read_back() {
        for text in [
            "csv:/srv/rows",
            "csv:rows",
            "sqlite:/srv/rows.db?table=rows",
            "sqlite:r.db?table=main.rows",
            "sqlite:r.db?table=a%26b%20c",
            "mysql://h/d?table=t",
            "postgres://h/d?table=t&overlong=refuse",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("sqlite:///srv/r.db?table=r"), parse("sqlite:/srv/r.db?table=r"));
    }

    #[test]
    fn a_table_may_have_any_name() {
        let Ok(SinkUrl::Sqlite { table, .. }) = parse("sqlite:r?table=my%20%22rows%22") else { panic!() };
        assert_eq!(table.quoted('"'), r#""my ""rows""""#);
        assert_eq!(table.ledger().quoted('"'), r#""simplegrid_ledger""#);
        assert_eq!(quoted("a`b", '`'), "`a``b`");
    }

    #[test]
    fn a_server_s_password_is_never_shown() {
        let url = parse("postgres://me:hunter2@h:5433/d?table=s.t&sslmode=require").unwrap();
        assert_eq!(url.to_string(), "postgres://me@h:5433/d?table=s.t");
        assert!(!format!("{url:?}").contains("hunter2"));
        let SinkUrl::Server { server, .. } =
            parse("mysql://me@h/d?table=t").unwrap().with_password("hunter2")
        else {
            panic!("it is a server")
        };
        assert_eq!(server.password.as_deref(), Some("hunter2"));
        for (text, says) in [
            ("mysql://me:hunter2@h/d", "no table; write mysql://HOST/DATABASE?table=T"),
            ("postgres://me:hunter2@h/d?table=t&pool=3", "no setting `pool`"),
            ("postgres://me:hunter2@h?table=t", "no database"),
            ("postgres://me:hunter2@h/d?table=t&overlong=cut", "overlong=cut is not known; write"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_text_that_is_not_a_sink_is_refused_with_a_reason() {
        for text in ["", "rows", "http://h/d?table=t", "file:x"] {
            assert_eq!(parse(text), Err(SinkUrlError::Unknown), "{text}");
        }
        for (text, says) in [
            ("csv:", "no directory"),
            ("sqlite:?table=t", "no file"),
            ("sqlite::memory:?table=t", "no file"),
            ("sqlite:f", "no table"),
            ("sqlite:f?table=", "a part of it is empty"),
            ("sqlite:f?table=a.b.c", "more than one dot"),
            ("sqlite:f?table=a%00", "a NUL"),
            ("sqlite:f?table=simplegrid_ledger", "sinks keep their ledger there"),
            ("sqlite:f?table=t&mode=ro", "an unknown setting `mode`"),
            ("sqlite:f?table=%zz", "broken %-encoding"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
