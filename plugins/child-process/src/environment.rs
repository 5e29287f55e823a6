//! The variables of a command: the slave's own, and what the user adds.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use simplegrid_plugin_api::{Error, Result};

/// Variables by name.
#[derive(Debug)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// This process's own variables, and the words `NAME=VALUE` of `added`.
    ///
    /// # Errors
    /// If `added` does not consist of such words.
    pub fn with(added: Option<&str>) -> Result<Self> {
        let mut variables: BTreeMap<_, _> = env::vars_os().collect();
        let words = shell_words::split(added.unwrap_or_default())
            .map_err(|error| Error::fatal(format_args!("the task argument `env`: {error}")))?;
        for word in words {
            let (name, value) =
                word.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                    Error::fatal(format_args!("the task argument `env`: `{word}` is not NAME=VALUE"))
                })?;
            variables.insert(name.into(), value.into());
        }
        Ok(Self(variables))
    }

    /// Where commands are looked for.
    pub fn path(&self) -> Option<&OsStr> {
        self.0.get(OsStr::new("PATH")).map(OsString::as_os_str)
    }

    /// As `execve` wants them.
    ///
    /// # Errors
    /// If one has a zero byte, which only the user's can have.
    pub fn to_c(&self) -> Result<Vec<CString>> {
        let lines = self.0.iter().map(|(name, value)| {
            let mut line = name.clone();
            line.push("=");
            line.push(value);
            CString::new(line.into_vec())
        });
        lines.collect::<Result<_, _>>().map_err(|_| Error::fatal("the task argument `env` has a zero byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_added_in_words() {
        let environment = Environment::with(Some("A=1 B='two words' PATH=/nowhere")).unwrap();
        let lines = environment.to_c().unwrap();
        for line in ["A=1", "B=two words", "PATH=/nowhere"] {
            assert!(lines.iter().any(|had| had.to_bytes() == line.as_bytes()), "{line}");
        }
        assert_eq!(environment.path(), Some(OsStr::new("/nowhere")));
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (text, said) in
            [("A", "`A` is not NAME=VALUE"), ("=1", "`=1` is not NAME=VALUE"), ("'A=1", "quot")]
        {
            let error = Environment::with(Some(text)).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
