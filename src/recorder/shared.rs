//! The segment that threads share which have none to themselves: more threads live than there are
//! segments, or another thread is adding a chunk. Slower than one's own, and nothing is refused.

use super::process::Recorder;
use super::segment::{Phase, Segment};
use crate::record::{EncodeError, Encoder, Fit};
use crate::sys::sync::{self, Mutex, MutexGuard};
use std::sync::atomic::Ordering;

/// The shared segment, and how far it is filled. Only `try_lock` is fork-safe.
#[derive(Default)]
pub(super) struct Shared(Mutex<Option<Place>>);

struct Place {
    index: u32,
    segment: Segment,
    position: u32,
}

impl Shared {
    /// Others hold it for one record, or while a chunk is added.
    fn lock(&self) -> Option<MutexGuard<'_, Option<Place>>> {
        for attempt in 0..50_000 {
            if let Some(guard) = self.0.try_lock() {
                return Some(guard);
            }
            if attempt < 50 {
                sync::spin_loop();
            } else {
                sync::yield_now();
            }
        }
        None
    }
}

impl Recorder {
    /// Records into the shared segment; `None` when there is no room for it either.
    pub(super) fn record_shared<E>(
        &self,
        mut write: impl FnMut(&Recorder, Encoder<'_>) -> Result<Result<Fit, EncodeError>, E>,
    ) -> Option<Result<Fit, E>> {
        let mut shared = self.shared.lock()?;
        for _ in 0..2 {
            if let Some(Place { index, segment, position }) = shared.as_mut()
                && segment.phase(self.stamp) == Some(Phase::Active)
            {
                // SAFETY: a segment taken for this, which only the lock's holder writes.
                match write(self, Encoder::new(unsafe { segment.rest(*position) })) {
                    Ok(Ok(fit)) => {
                        *position += fit.len as u32;
                        segment.publish(*position);
                        self.counters.shared.fetch_add(1, Ordering::Relaxed);
                        return Some(Ok(fit));
                    }
                    Ok(Err(_)) => self.hand_over(*index, *segment),
                    Err(error) => return Some(Err(error)),
                }
            }
            *shared =
                self.take_shared().map(|(index, segment)| Place { index, segment, position: 0 });
        }
        None
    }
}
