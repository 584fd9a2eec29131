//! What a server is asked to be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::text::Charset;

/// What a server is asked to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; empty is port 8080 on all addresses.
    pub listen: Vec<SocketAddr>,
    /// Where shared files are kept; `None` is a private temporary directory.
    pub stage_dir: Option<PathBuf>,
    /// The most bytes of all staged files together.
    pub stage_limit: u64,
    /// The most clients at a time.
    pub max_clients: usize,
    /// The most clients at a time from one address.
    pub max_per_host: Option<usize>,
    /// The most bytes of one text.
    pub max_text: u64,
    /// The most bytes of one shared file.
    pub max_file: u64,
    /// The most bytes that wait for one client before those who flood it are slowed down.
    pub queue_limit: usize,
    /// The most bytes that wait for all clients together.
    pub queue_total: usize,
    /// How long a client may take nothing.
    pub stall_timeout: Duration,
    /// How many public messages are kept for those who come later; 0 for none.
    pub history: usize,
    /// Where the operator's socket is to be.
    pub control: Option<PathBuf>,
    /// Which characters texts and nicknames may hold.
    pub charset: Charset,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: Vec::new(),
            stage_dir: None,
            stage_limit: 1 << 30,
            max_clients: 1000,
            max_per_host: None,
            max_text: 64 << 10,
            max_file: 16 << 20,
            queue_limit: 1 << 20,
            queue_total: 256 << 20,
            stall_timeout: Duration::from_secs(10),
            history: 100,
            control: None,
            charset: Charset::Utf8,
        }
    }
}
