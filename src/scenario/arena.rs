//! Memory that every actor has at the same address.
//!
//! Strings, buffers and programs of a scenario lie at fixed addresses, so that
//! a pointer in `struct seccomp_data` is the same number in every run and can
//! be told by its name. The addresses are below 4 GiB, so that the 32-bit
//! entry can pass them too.

/// Where the arena begins.
pub const ARENA: u64 = 0x1000_0000;
/// Bytes for strings, buffers and programs.
pub const ARENA_DATA: u64 = 0x10_0000;
/// Most actors that a scenario can have.
pub const MOST_ACTORS: usize = 16;
/// Most held pages that a scenario can have.
pub const MOST_HELD: usize = 4;
/// An address at which nothing is ever mapped.
pub const UNMAPPED: u64 = ARENA - 0x10_0000;
/// A page of zeros that can be read and not written.
pub const READONLY: u64 = ARENA + ARENA_DATA;
/// The page of each actor in which the harness builds structures for calls;
/// the page after it ends the mapping, so `edge` places lie at its end.
const DESKS: u64 = READONLY + 0x1000;
/// Held pages.
const HELD: u64 = DESKS + MOST_ACTORS as u64 * 0x2000;
/// Stacks of thread actors.
const STACKS: u64 = HELD + MOST_HELD as u64 * 0x2000;
/// Bytes of one stack.
pub const STACK: u64 = 0x1_0000;
/// End of the arena.
pub const ARENA_END: u64 = STACKS + MOST_ACTORS as u64 * STACK;

/// The page in which an actor builds structures.
pub fn desk(actor: usize) -> u64 {
    DESKS + actor as u64 * 0x2000
}

/// The address at which a structure of `size` bytes ends with its page.
pub fn edge(actor: usize, size: usize) -> u64 {
    desk(actor) + 0x1000 - size as u64
}

/// A held page.
pub fn held(index: usize) -> u64 {
    HELD + index as u64 * 0x2000
}

/// The end of a thread actor's stack.
pub fn stack_top(actor: usize) -> u64 {
    STACKS + (actor as u64 + 1) * STACK
}

/// The thread actor on whose stack an address lies.
pub fn stack_owner(address: u64) -> Option<usize> {
    (STACKS..ARENA_END).contains(&address).then(|| ((address - STACKS) / STACK) as usize)
}

/// The initial contents of the arena's data, and what lies where.
#[derive(Clone, Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    regions: Vec<Region>,
}

/// One named thing in the arena.
#[derive(Clone, Debug)]
struct Region {
    address: u64,
    len: usize,
    name: String,
}

impl Arena {
    /// The initial contents, from [`ARENA`] on.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts bytes into the arena under a name, once for each name; returns
    /// their address, or `None` when the arena is full.
    pub(super) fn place(&mut self, name: &str, bytes: &[u8]) -> Option<u64> {
        if let Some(known) = self.regions.iter().find(|region| region.name == name) {
            return Some(known.address);
        }
        // Aligned for 64-bit words and for struct sock_fprog.
        let start = self.bytes.len().next_multiple_of(16);
        if (start + bytes.len()) as u64 > ARENA_DATA {
            return None;
        }
        self.bytes.resize(start, 0);
        self.bytes.extend_from_slice(bytes);
        let address = ARENA + start as u64;
        self.regions.push(Region { address, len: bytes.len(), name: name.to_owned() });
        Some(address)
    }

    /// The address and size of what was placed under a name.
    pub(super) fn find(&self, name: &str) -> Option<(u64, usize)> {
        let region = self.regions.iter().find(|region| region.name == name)?;
        Some((region.address, region.len))
    }

    /// Everything that has a name: its address, its name, and its size in bytes.
    pub fn regions(&self) -> impl Iterator<Item = (u64, &str, usize)> {
        self.regions.iter().map(|region| (region.address, region.name.as_str(), region.len))
    }

    /// What begins at an address: what a scenario calls it, and its size in
    /// bytes.
    pub fn region(&self, address: u64) -> Option<(&str, usize)> {
        let region = self.regions.iter().find(|region| region.address == address)?;
        Some((&region.name, region.len))
    }

    /// What a scenario calls an address, if it is the start of something that
    /// the arena holds.
    pub fn name_of(&self, address: u64) -> Option<&str> {
        self.region(address).map(|(name, _)| name)
    }
}
