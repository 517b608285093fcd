//! Memory from the system, page-aligned, kept for ever unless its user says otherwise.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

/// How often a call that a signal interrupts is tried.
const INTERRUPTIONS: u32 = 100;

/// Pages that stay mapped, mostly for the life of the process, whatever lies behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first byte.
    pub start: NonNull<u8>,
    /// How many bytes: a multiple of the page size.
    pub len: usize,
}

// SAFETY: an address range; what is in it is its users' affair.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// Maps `len` zeroed bytes. `None` when the system has none.
pub fn reserve(len: usize) -> Option<Region> {
    map(std::ptr::null_mut(), len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0).ok()
}

/// Puts `len` bytes of a file, from `offset` on, behind a region of that length, shared with the
/// file: what is written there outlives the process. The file must have the bytes
/// ([`allocate`]), and keep them: a shortened file is a SIGBUS.
///
/// # Safety
/// Nobody uses what was in the region before.
pub unsafe fn share(region: Region, file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    map(region.start.as_ptr().cast(), region.len, flags, file.as_raw_fd(), offset).map(|_| ())
}

/// Puts zeroed memory of this process alone behind a region.
///
/// # Safety
/// Nobody uses what was in the region before.
pub unsafe fn unshare(region: Region) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    map(region.start.as_ptr().cast(), region.len, flags, -1, 0).map(|_| ())
}

fn map(
    at: *mut libc::c_void,
    len: usize,
    flags: libc::c_int,
    fd: libc::c_int,
    offset: u64,
) -> io::Result<Region> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: at an address of the kernel's choice, or, by the callers' promise, over a region
    // that is ours and that nobody uses.
    let address = unsafe { libc::mmap(at, len, protection, flags, fd, offset) };
    match NonNull::new(address.cast()) {
        Some(start) if address != libc::MAP_FAILED => Ok(Region { start, len }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// File systems that write nothing in place, by their numbers (`statfs(2)`) and names.
#[cfg(target_os = "linux")]
const COPY_ON_WRITE: [(u32, &str); 3] =
    [(0x9123_683e, "btrfs"), (0x2fc1_2fc1, "zfs"), (0xca45_1a4e, "bcachefs")];

/// A container's root, mostly: in layers, on a file system that it does not name.
#[cfg(target_os = "linux")]
const OVERLAY: u32 = 0x794c_7630;

/// Whether the layers of overlays lie on a file system that copies on write, as far as can be seen: in a
/// container's table of mounts are files of the host's (`/etc/hosts` is one), from beside the layers.
#[cfg(target_os = "linux")]
fn overlay_copies() -> bool {
    use std::sync::atomic::{AtomicU8, Ordering};
    // Found out once: 1 is no, 2 is yes.
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let copies =
                std::fs::read("/proc/self/mountinfo").is_ok_and(|table| mounts_copy(&table));
            KNOWN.store(1 + u8::from(copies), Ordering::Relaxed);
            copies
        }
        known => known == 2,
    }
}

/// Whether anything in a table of mounts (`proc_pid_mountinfo(5)`) copies on write.
#[cfg(target_os = "linux")]
fn mounts_copy(table: &[u8]) -> bool {
    table.split(|byte| *byte == b'\n').any(|line| {
        let mut words = line.split(|byte| *byte == b' ').skip_while(|word| *word != b"-").skip(1);
        words.next().is_some_and(|kind| COPY_ON_WRITE.iter().any(|(_, of)| of.as_bytes() == kind))
    })
}

/// Whether what is written to a file's bytes stays where they are. Where pages are written back to another place,
/// each that is written again takes new room: on a full disk, whoever writes waits for seconds, and
/// gets a SIGBUS (seen on btrfs; without copy-on-write for the file, it still waits).
///
/// # Errors
/// `Unsupported` where it may not; those of the system.
#[cfg(target_os = "linux")]
fn check_in_place(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an all-zero statfs is a valid value to be filled in.
    let mut system = unsafe { std::mem::zeroed::<libc::statfs>() };
    // SAFETY: the descriptor is open, `system` writable.
    super::descriptor::check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut system) })?;
    let copies = match system.f_type as u32 {
        OVERLAY => overlay_copies(),
        magic => COPY_ON_WRITE.iter().any(|(of, _)| *of == magic),
    };
    if copies {
        let why = "its file system copies on write, so that a full disk would stop who records";
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    }
    Ok(())
}

/// No other system has such a file system by default.
#[cfg(not(target_os = "linux"))]
fn check_in_place(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Makes sure that a file has the bytes from `offset` on: a full disk is an error here, not a
/// signal later. `Unsupported` where nobody can make sure of that.
pub fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    check_in_place(file)?;
    let convert = |n| libc::off_t::try_from(n).map_err(|_| io::ErrorKind::InvalidInput);
    let (offset, len) = (convert(offset)?, convert(len)?);
    let mut error = libc::EINTR;
    // A host's thread may be one that a profiler interrupts all the time.
    for _ in 0..INTERRUPTIONS {
        // SAFETY: the descriptor is open.
        error = unsafe { libc::posix_fallocate(file.as_raw_fd(), offset, len) };
        if error != libc::EINTR {
            break;
        }
    }
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_mounts_tells_what_copies_on_write() {
        let overlay =
            "24 1 0:22 / / rw,relatime - overlay overlay rw,lowerdir=/l - btrfs,upperdir=/u";
        let hosts = |kind: &str| {
            format!("{overlay}\n25 24 8:1 /h/hosts /etc/hosts rw shared:1 - {kind} /dev/sda1 rw\n")
        };
        assert!(!mounts_copy(b"") && !mounts_copy(b"- \n-\n\xff"));
        assert!(!mounts_copy(hosts("ext4").as_bytes()) && !mounts_copy(hosts("xfs").as_bytes()));
        assert!(mounts_copy(hosts("btrfs").as_bytes()) && mounts_copy(hosts("zfs").as_bytes()));
    }
}
