//! A mail server that follows a script.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::listener::{Listener, PORTS_TRIED_MAX, lock};

/// What has just happened on a connection.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The connection, counted from 0.
    pub connection: usize,
    /// The line that arrived, without its end; none for the connection itself.
    pub line: Option<&'a str>,
}

/// What the server does about it.
#[derive(Debug, Clone)]
pub enum Action {
    /// Says this, and reads on. Lines end with `\r\n`, which is part of the text.
    Say(String),
    /// Says this, and closes the connection.
    SayAndClose(String),
    /// Says this over and over until the client hangs up.
    SayForEver(String),
    /// Says nothing more.
    Silence,
}

/// The server.
#[derive(Debug)]
pub struct SmtpServer {
    listener: Listener,
    lines: Arc<Mutex<Vec<(usize, String)>>>,
}

impl SmtpServer {
    /// Starts one with a script.
    pub fn start(script: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("there is a free port"), script)
    }

    /// Starts one on a socket.
    pub fn on(socket: TcpListener, script: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let noted = lines.clone();
        let listener =
            Listener::on(socket, move |connection, stream| serve(connection, stream, &script, &noted));
        Self { listener, lines }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// All lines that arrived, each with its connection.
    pub fn lines(&self) -> Vec<(usize, String)> {
        lock(&self.lines).clone()
    }

    /// The lines that begin with a word.
    pub fn lines_with(&self, word: &str) -> Vec<String> {
        self.lines().into_iter().map(|(_, line)| line).filter(|line| line.starts_with(word)).collect()
    }
}

/// Sockets with one port and the addresses 127.0.0.1, 127.0.0.2 and so on, for a test with several mail
/// hosts.
///
/// # Panics
/// If no port is free everywhere.
pub fn neighbours(count: u8) -> Vec<TcpListener> {
    for _ in 0..PORTS_TRIED_MAX {
        let first = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = first.local_addr().expect("a bound socket has an address").port();
        let others = (2..=count).map(|number| TcpListener::bind((Ipv4Addr::new(127, 0, 0, number), port)));
        if let Ok(others) = others.collect::<Result<Vec<_>, _>>() {
            return std::iter::once(first).chain(others).collect();
        }
    }
    panic!("no port is free at all addresses");
}

/// What a well-behaved server says. Users whose names begin with `no` do not exist.
pub fn polite(step: Step<'_>) -> Action {
    let Some(line) = step.line else { return Action::Say("220 mx.test ESMTP\r\n".into()) };
    let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
    let reply = match word.as_str() {
        "EHLO" => "250-mx.test\r\n250-SIZE 10000000\r\n250 ENHANCEDSTATUSCODES\r\n",
        "HELO" => "250 mx.test\r\n",
        "MAIL" | "RSET" | "NOOP" => "250 2.0.0 ok\r\n",
        "RCPT" if line.contains("<no") => "550 5.1.1 no such user\r\n",
        "RCPT" => "250 2.1.5 ok\r\n",
        "QUIT" => return Action::SayAndClose("221 2.0.0 bye\r\n".into()),
        _ => "500 5.5.2 what?\r\n",
    };
    Action::Say(reply.into())
}

fn serve(
    connection: usize,
    mut stream: TcpStream,
    script: &impl Fn(Step<'_>) -> Action,
    lines: &Mutex<Vec<(usize, String)>>,
) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut reader = BufReader::new(clone);
    let mut action = script(Step { connection, line: None });
    loop {
        match action {
            Action::Say(text) => {
                if stream.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            Action::SayAndClose(text) => {
                let _ = stream.write_all(text.as_bytes());
                return;
            }
            Action::SayForEver(text) => {
                while stream.write_all(text.as_bytes()).is_ok() {}
                return;
            }
            Action::Silence => {
                let _ = reader.read_to_end(&mut Vec::new());
                return;
            }
        }
        let mut line = String::new();
        if !matches!(reader.by_ref().take(4096).read_line(&mut line), Ok(1..)) {
            return;
        }
        let line = line.trim_end();
        lock(lines).push((connection, line.to_owned()));
        action = script(Step { connection, line: Some(line) });
    }
}
