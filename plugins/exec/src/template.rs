//! The command with a place for the record: what is started for each one.

use std::borrow::Cow;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use memchr::memmem;
use simplegrid_child_process::{Environment, find};
use simplegrid_plugin_api::{Error, Result};

use crate::Args;

/// What stands for the record.
const PLACE: &str = "{}";

/// Makes a program write its lines at once.
const LINE_BUFFER: [&str; 2] = ["stdbuf", "-oL"];

/// The shell of `shell=true`. Every system has it there.
const SHELL: &str = "/bin/sh";

/// A command, ready to be started for any record.
#[derive(Debug)]
pub(crate) struct Template {
    /// As the user wrote it.
    text: String,
    program: CString,
    words: Vec<CString>,
    /// Whether the record is an argument, and not the standard input.
    takes_argument: bool,
}

/// What is started for one record.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The file of the command.
    pub(crate) program: &'a CString,
    /// Its arguments, from its own name on.
    pub(crate) words: Cow<'a, [CString]>,
    /// Whether the record is what it reads; if not, its standard input is empty.
    pub(crate) is_read: bool,
}

impl Template {
    /// The command that the user named.
    ///
    /// # Errors
    /// If it is not a command, or there is none of that name.
    pub(crate) fn of(args: &Args) -> Result<Self> {
        let environment = Environment::with(args.env.as_deref())?;
        if let Some(cwd) = args.cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
            return Err(Error::fatal(format_args!("cwd: there is no directory {}", cwd.display())));
        }
        let in_shell;
        let words = if args.shell {
            in_shell = args.command.replace(PLACE, "\"$1\"");
            [SHELL, "-c", &in_shell, "sh"].map(str::to_owned).to_vec()
        } else {
            shell_words::split(&args.command)
                .map_err(|error| Error::fatal(format_args!("the command `{}`: {error}", args.command)))?
        };
        let Some(name) = words.first().filter(|name| !args.command.trim().is_empty() && !name.is_empty())
        else {
            return Err(Error::fatal("the command is empty: write `--task-arg command='PROGRAM ARGUMENT…'`"));
        };
        if name.contains(PLACE) {
            return Err(Error::fatal(
                "a record cannot be the command itself: `{}` may only stand in its arguments",
            ));
        }
        args.check(PLACE)?;
        let mut program = find(name, environment.path(), args.cwd.as_deref())?;
        let mut words = words;
        let takes_argument = args.command.contains(PLACE);
        if args.shell && takes_argument {
            words.push(PLACE.to_owned());
        }
        if args.line_buffered {
            program = find(LINE_BUFFER[0], environment.path(), None).map_err(|error| {
                Error::fatal(format_args!("`line-buffered=true` needs `stdbuf`: {error}"))
            })?;
            words.splice(0..0, LINE_BUFFER.map(str::to_owned));
        }
        Ok(Self {
            text: args.command.clone(),
            program: c_string(program.as_os_str().as_bytes())?,
            words: words.iter().map(|word| c_string(word.as_bytes())).collect::<Result<_>>()?,
            takes_argument,
        })
    }

    /// The command as the user wrote it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is started for the record.
    ///
    /// # Errors
    /// If the record cannot be an argument.
    pub(crate) fn call<'a>(&'a self, record: &'a [u8]) -> Result<Call<'a>> {
        let program = &self.program;
        if !self.takes_argument {
            return Ok(Call { program, words: Cow::Borrowed(&self.words), is_read: true });
        }
        let words = self.words.iter().map(|word| filled(word, record)).collect::<Result<Vec<_>>>()?;
        Ok(Call { program, words: Cow::Owned(words), is_read: false })
    }

    /// What is started for records that are read.
    pub(crate) fn call_for_many(&self) -> Call<'_> {
        Call { program: &self.program, words: Cow::Borrowed(&self.words), is_read: true }
    }
}

/// The word with the record in its place.
fn filled(word: &CString, record: &[u8]) -> Result<CString> {
    let bytes = word.as_bytes();
    let mut filled = Vec::with_capacity(bytes.len() + record.len());
    let mut from = 0;
    for place in memmem::find_iter(bytes, PLACE) {
        filled.extend_from_slice(&bytes[from..place]);
        filled.extend_from_slice(record);
        from = place + PLACE.len();
    }
    filled.extend_from_slice(&bytes[from..]);
    CString::new(filled).map_err(|_| {
        Error::reject(
            "the record has a zero byte, so it cannot be an argument: leave out `{}`, and it is read",
        )
    })
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::fatal("the command has a zero byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(command: &str) -> Args {
        Args { command: command.to_owned(), ..Args::default() }
    }

    fn words(call: &Call<'_>) -> Vec<String> {
        call.words.iter().map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_record_is_the_standard_input_unless_it_has_a_place() {
        let template = Template::of(&args("grep -e 'two words'")).unwrap();
        let call = template.call(b"record").unwrap();
        assert_eq!(
            (words(&call), call.is_read),
            (vec!["grep".into(), "-e".into(), "two words".into()], true)
        );
        let template = Template::of(&args("echo a{}b{} -{}")).unwrap();
        let call = template.call(b"x y").unwrap();
        assert_eq!(
            (words(&call), call.is_read),
            (vec!["echo".into(), "ax ybx y".into(), "-x y".into()], false)
        );
    }

    #[test]
    fn a_shell_gets_the_record_as_a_parameter_and_not_as_code() {
        let template = Template::of(&Args { shell: true, ..args("echo {} | wc -c") }).unwrap();
        let call = template.call(b"; rm -r x").unwrap();
        assert_eq!(words(&call), ["/bin/sh", "-c", "echo \"$1\" | wc -c", "sh", "; rm -r x"]);
        let template = Template::of(&Args { shell: true, ..args("tr a b | sort") }).unwrap();
        assert_eq!(words(&template.call(b"a").unwrap()), ["/bin/sh", "-c", "tr a b | sort", "sh"]);
    }

    #[test]
    fn what_cannot_be_a_command_is_refused() {
        for (command, said) in [
            ("", "the command is empty"),
            ("  ", "the command is empty"),
            ("'' x", "the command is empty"),
            ("echo 'open", "the command `echo 'open`: "),
            ("{} x", "cannot be the command itself"),
            ("no-such-command-here", "there is no command `no-such-command-here` in PATH"),
            ("./no-such-command-here", "./no-such-command-here is not a program"),
            ("/tmp", "/tmp is not a program"),
        ] {
            let error = Template::of(&args(command)).unwrap_err().to_string();
            assert!(error.contains(said), "{command}: {error}");
        }
        let nowhere = Args { cwd: Some("/no/such/directory".into()), ..args("true") };
        assert!(Template::of(&nowhere).unwrap_err().to_string().contains("there is no directory"));
    }

    #[test]
    fn a_record_with_a_zero_byte_is_no_argument() {
        let template = Template::of(&args("echo {}")).unwrap();
        assert!(template.call(b"a\0b").unwrap_err().to_string().contains("zero byte"));
    }
}
