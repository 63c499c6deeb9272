//! A local API of issues: pages rendered beforehand, so that serving one is a copy.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

pub const PAGE: usize = 100;

/// Serves until the process ends.
pub struct Api {
    address: SocketAddr,
    versions: Arc<RwLock<Vec<u32>>>,
    pages: Arc<RwLock<Vec<Arc<[u8]>>>>,
}

impl Api {
    pub fn start(items: usize, latency_ms: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let versions = Arc::new(RwLock::new(vec![0; items]));
        let pages = Arc::new(RwLock::new(render(&versions.read().unwrap())));
        let shared = pages.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let pages = shared.clone();
                thread::spawn(move || serve(stream, &pages, latency_ms));
            }
        });
        Self {
            address,
            versions,
            pages,
        }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes one item on every page.
    pub fn change_one_percent(&self) {
        let mut versions = self.versions.write().unwrap();
        for version in versions.iter_mut().step_by(100) {
            *version += 1;
        }
        *self.pages.write().unwrap() = render(&versions);
    }
}

fn render(versions: &[u32]) -> Vec<Arc<[u8]>> {
    let mut pages: Vec<Arc<[u8]>> = Vec::new();
    for (number, chunk) in versions.chunks(PAGE).enumerate() {
        let issues: Vec<String> = chunk
            .iter()
            .enumerate()
            .map(|(at, version)| issue(number * PAGE + at, *version))
            .collect();
        pages.push(answer(&format!("[{}]", issues.join(","))));
    }
    pages
}

fn answer(body: &str) -> Arc<[u8]> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    format!("{head}{}\r\n\r\n{body}", body.len())
        .into_bytes()
        .into()
}

/// About 2 KB, in the shape of a tracker's issue.
fn issue(id: usize, version: u32) -> String {
    let user = |n: usize| {
        format!(
            "{{\"login\":\"user-{n}\",\"id\":{n},\"avatar_url\":\"https://avatars.example.com/u/{n}?v=4\",\
             \"url\":\"https://api.example.com/users/user-{n}\",\"type\":\"User\",\"site_admin\":false}}"
        )
    };
    let text =
        format!("Text of issue {id} with \\\"quotes\\\", line\\nbreaks and ümlauts. ").repeat(14);
    format!(
        "{{\"id\":{id},\"node_id\":\"I_{id:08}\",\"number\":{id},\"title\":\"Issue {id}\",\"user\":{},\
         \"labels\":[{{\"id\":{},\"name\":\"bug\",\"color\":\"d73a4a\",\"default\":true}}],\"state\":\"open\",\
         \"locked\":false,\"assignee\":{},\"milestone\":null,\"comments\":{version},\
         \"created_at\":\"2024-01-01T00:00:00Z\",\"updated_at\":\"2024-02-01T00:00:{:02}Z\",\"closed_at\":null,\
         \"score\":{}.5,\"body\":\"{text}\"}}",
        user(id % 97),
        id % 31,
        user(id % 89),
        version % 60,
        id % 10,
    )
}

fn serve(stream: TcpStream, pages: &RwLock<Vec<Arc<[u8]>>>, latency_ms: u64) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        let mut page = None;
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) if page.is_none() => {
                    let number = line.split_once("page=").map_or("1", |(_, rest)| rest);
                    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
                    page = Some(digits.parse::<usize>().unwrap_or(1));
                }
                Ok(_) => {}
            }
        }
        if latency_ms > 0 {
            thread::sleep(Duration::from_millis(latency_ms));
        }
        let found = pages.read().unwrap().get(page.unwrap_or(1) - 1).cloned();
        if writer
            .write_all(&found.unwrap_or_else(|| answer("[]")))
            .is_err()
        {
            return;
        }
    }
}
