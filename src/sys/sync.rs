//! Atomics and the little else that threads meet in, as the recorder uses them: the system's own, or
//! those of a model checker.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, the same code runs under a checker, which plays the
//! threads through in every order (loom: with what the memory model allows each to see) or in many
//! random ones (shuttle). `docs/testing.md` says how it is run; `recorder::interleavings` is
//! what is checked.

#[cfg(not(any(loom, shuttle)))]
pub use imp::*;
#[cfg(any(loom, shuttle))]
pub use model::*;

#[cfg(not(any(loom, shuttle)))]
mod imp {
    pub use crossbeam_queue::ArrayQueue;
    pub use parking_lot::{Mutex, MutexGuard};
    pub use std::hint::spin_loop;
    pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    pub use std::thread::{sleep, yield_now};

    /// What a checker is told of bytes that are written here and read there; nothing outside of one.
    #[derive(Debug)]
    pub struct Watch;

    impl Watch {
        /// Nothing is written yet.
        #[inline(always)]
        pub fn unwritten() -> Watch {
            Watch
        }

        /// The bytes from `position` on are about to be written.
        #[inline(always)]
        pub fn write(&self, _position: u32) {}

        /// The bytes from `start` to `end` are about to be read.
        #[inline(always)]
        pub fn read(&self, _start: u32, _end: u32) {}

        /// All are about to be written by somebody else.
        #[inline(always)]
        pub fn renew(&self) {}
    }
}

#[cfg(any(loom, shuttle))]
mod model {
    use std::collections::VecDeque;
    use std::ops::{Deref, DerefMut};

    #[cfg(loom)]
    pub use loom::{
        hint::spin_loop,
        lazy_static,
        sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence},
        thread::yield_now,
        thread_local,
    };
    #[cfg(shuttle)]
    pub use shuttle::{
        hint::spin_loop,
        lazy_static,
        sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence},
        thread::yield_now,
        thread_local,
    };

    #[cfg(loom)]
    use loom::sync as checked;
    #[cfg(shuttle)]
    use shuttle::sync as checked;

    /// Another thread's turn: a checker has no clock.
    pub fn sleep(_: std::time::Duration) {
        yield_now();
    }

    /// As parking_lot's, as far as it is used.
    pub struct Mutex<T>(checked::Mutex<T>);

    /// As parking_lot's.
    pub struct MutexGuard<'m, T>(checked::MutexGuard<'m, T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Mutex(checked::Mutex::new(value))
        }

        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok().map(MutexGuard)
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Mutex::new(T::default())
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.0
        }
    }

    /// As crossbeam's, whose own code is its authors' to check: a lock around a queue.
    pub struct ArrayQueue<T> {
        items: checked::Mutex<VecDeque<T>>,
        capacity: usize,
    }

    impl<T> ArrayQueue<T> {
        pub fn new(capacity: usize) -> Self {
            ArrayQueue { items: checked::Mutex::new(VecDeque::new()), capacity }
        }

        fn items(&self) -> checked::MutexGuard<'_, VecDeque<T>> {
            self.items.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items();
            if items.len() >= self.capacity {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        }

        pub fn pop(&self) -> Option<T> {
            self.items().pop_front()
        }

        pub fn len(&self) -> usize {
            self.items().len()
        }
    }

    /// Tells loom of bytes that are written here and read there: it fails where nothing orders the
    /// two. One cell for each place that something was written from.
    #[cfg(loom)]
    #[derive(Default)]
    pub struct Watch(std::sync::Mutex<std::collections::BTreeMap<u32, loom::cell::UnsafeCell<()>>>);

    #[cfg(loom)]
    impl Watch {
        pub fn unwritten() -> Watch {
            Watch::default()
        }

        pub fn write(&self, position: u32) {
            let mut cells = self.0.lock().unwrap();
            let cell = cells.entry(position).or_insert_with(|| loom::cell::UnsafeCell::new(()));
            cell.with_mut(|_| ());
        }

        pub fn read(&self, start: u32, end: u32) {
            self.0.lock().unwrap().range(start..end).for_each(|(_, cell)| cell.with(|_| ()));
        }

        pub fn renew(&self) {
            self.0.lock().unwrap().values().for_each(|cell| cell.with_mut(|_| ()));
        }
    }

    /// Under shuttle everybody sees everything: what was read tells whether it was there.
    #[cfg(shuttle)]
    pub struct Watch;

    #[cfg(shuttle)]
    impl Watch {
        pub fn unwritten() -> Watch {
            Watch
        }

        pub fn write(&self, _position: u32) {}
        pub fn read(&self, _start: u32, _end: u32) {}
        pub fn renew(&self) {}
    }
}
