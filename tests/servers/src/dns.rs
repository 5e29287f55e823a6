//! A name server with the records that a test gives it, over UDP and TCP on one port.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, MX};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::listener::{Listener, PORTS_TRIED_MAX, lock};

/// How many aliases are followed in one answer, as a resolver does. A loop of aliases ends here.
const ALIASES_MAX: usize = 10;

/// What the server knows.
#[derive(Debug, Default)]
struct Zone {
    records: BTreeMap<Name, Vec<RData>>,
    failing: Vec<Name>,
    silent: Vec<Name>,
    tcp_only: Vec<Name>,
    questions: Vec<(String, RecordType)>,
}

/// The server. A name without records does not exist; a name that has only other kinds of records has none of
/// the kind that is asked for.
#[derive(Debug)]
pub struct DnsServer {
    zone: Arc<Mutex<Zone>>,
    address: SocketAddr,
    is_ended: Arc<AtomicBool>,
    udp: Option<JoinHandle<()>>,
    tcp: Listener,
}

impl DnsServer {
    /// Starts one that knows nothing.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start() -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("a bound socket has an address");
        let zone = Arc::new(Mutex::new(Zone::default()));
        let is_ended = Arc::new(AtomicBool::new(false));
        let tcp = {
            let zone = zone.clone();
            Listener::on(tcp, move |_, stream| serve_tcp(stream, &zone))
        };
        let udp = {
            let (zone, is_ended) = (zone.clone(), is_ended.clone());
            thread::spawn(move || serve_udp(&udp, &zone, &is_ended))
        };
        Self { zone, address, is_ended, udp: Some(udp), tcp }
    }

    /// Where it listens, for both protocols.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a mail exchanger; `.` for none.
    pub fn mx(self, name: &str, preference: u16, exchange: &str) -> Self {
        self.record(name, RData::MX(MX::new(preference, parse(exchange))))
    }

    /// Adds an address.
    pub fn address_of(self, name: &str, address: IpAddr) -> Self {
        self.record(name, RData::from(address))
    }

    /// Makes a name an alias of another.
    pub fn alias(self, name: &str, of: &str) -> Self {
        self.record(name, RData::CNAME(CNAME(parse(of))))
    }

    /// Answers every question about a name with SERVFAIL.
    pub fn failing(self, name: &str) -> Self {
        lock(&self.zone).failing.push(parse(name));
        self
    }

    /// Does not answer questions about a name.
    pub fn silent(self, name: &str) -> Self {
        lock(&self.zone).silent.push(parse(name));
        self
    }

    /// Answers questions about a name over UDP only by saying that the answer is too long for UDP.
    pub fn too_long_for_udp(self, name: &str) -> Self {
        lock(&self.zone).tcp_only.push(parse(name));
        self
    }

    /// Every question so far.
    pub fn questions(&self) -> Vec<(String, RecordType)> {
        lock(&self.zone).questions.clone()
    }

    /// How many TCP connections there have been.
    pub fn tcp_connections(&self) -> usize {
        self.tcp.connections()
    }

    fn record(self, name: &str, data: RData) -> Self {
        lock(&self.zone).records.entry(parse(name)).or_default().push(data);
        self
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.is_ended.store(true, Ordering::SeqCst);
        // An empty packet wakes the thread.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
        if let Some(udp) = self.udp.take() {
            let _ = udp.join();
        }
    }
}

/// A UDP and a TCP socket with one port.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..PORTS_TRIED_MAX {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
        let address = udp.local_addr().expect("a bound socket has an address");
        if let Ok(tcp) = TcpListener::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, zone: &Mutex<Zone>, is_ended: &AtomicBool) {
    let mut packet = [0; 4096];
    while !is_ended.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
        if let Some(answer) = answer(&packet[..length], zone, true) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn serve_tcp(mut stream: TcpStream, zone: &Mutex<Zone>) {
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut packet).is_err() {
            return;
        }
        let Some(answer) = answer(&packet, zone, false) else { continue };
        let length = u16::try_from(answer.len()).expect("an answer of a test is short");
        if stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).is_err() {
            return;
        }
    }
}

fn answer(packet: &[u8], zone: &Mutex<Zone>, is_udp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(packet).ok()?;
    let query = question.queries.first()?.clone();
    let (name, kind) = (query.name().to_lowercase(), query.query_type());
    let mut zone = lock(zone);
    zone.questions.push((name.to_ascii(), kind));
    if zone.silent.contains(&name) {
        return None;
    }
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query);
    if zone.failing.contains(&name) {
        answer.metadata.response_code = ResponseCode::ServFail;
    } else if is_udp && zone.tcp_only.contains(&name) {
        answer.metadata.truncation = true;
    } else if !fill(&zone, &mut answer, name, kind) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer.to_vec().ok()
}

/// Writes the records of a name into an answer, following aliases. Returns false if a name does not exist.
fn fill(zone: &Zone, answer: &mut Message, mut name: Name, kind: RecordType) -> bool {
    for _ in 0..ALIASES_MAX {
        let Some(all) = zone.records.get(&name) else { return false };
        let alias = all
            .iter()
            .find_map(|data| if let RData::CNAME(alias) = data { Some(alias.0.clone()) } else { None });
        for data in all.iter().filter(|data| alias.is_some() || data.record_type() == kind) {
            answer.add_answer(Record::from_rdata(name.clone(), 60, data.clone()));
        }
        match alias {
            Some(next) => name = next.to_lowercase(),
            None => break,
        }
    }
    true
}

fn parse(name: &str) -> Name {
    let mut name = Name::from_str(name).expect("a test has good names").to_lowercase();
    name.set_fqdn(true);
    name
}
