//! What a queue is made of: pieces of messages, and files.

use std::ops::Range;
use std::sync::Arc;

use crate::stage::Fetch;
use crate::web::websocket::FrameHeader;

/// What a chunk costs beside its bytes: its place in the channel, and the allocation of its bytes.
const CHUNK_COST: usize = 96;

/// Something that waits for one client.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Whole or partial messages; the bytes may be shared with other clients' queues.
    Bytes(Arc<[u8]>, Range<usize>),
    /// A staged file's bytes from `offset` to `end`, streamed from disk.
    File { file: Arc<Fetch>, offset: u64, end: u64 },
}

impl Chunk {
    /// What it counts as waiting: a file's bytes are on disk, not in the queue.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Chunk::Bytes(_, range) => CHUNK_COST + range.len(),
            Chunk::File { .. } => CHUNK_COST,
        }
    }

    /// How many bytes of it are to be sent.
    fn len(&self) -> u64 {
        match self {
            Chunk::Bytes(_, range) => range.len() as u64,
            Chunk::File { offset, end, .. } => end - offset,
        }
    }

    /// The header of a frame around `chunks`.
    pub(super) fn header_of(chunks: &[Chunk]) -> Chunk {
        let header = FrameHeader::binary(chunks.iter().map(Chunk::len).sum());
        let bytes = header.as_ref();
        Chunk::Bytes(bytes.into(), 0..bytes.len())
    }
}
