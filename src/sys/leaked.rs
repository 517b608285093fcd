//! Things that live as long as the process, behind atomic pointers.

use super::sync::AtomicPtr;
use std::sync::atomic::Ordering;

/// A place for one leaked value, or none. Reading never waits.
#[derive(Debug)]
pub struct Leaked<T: 'static>(AtomicPtr<T>);

impl<T> Default for Leaked<T> {
    fn default() -> Self {
        Leaked::empty()
    }
}

impl<T> Leaked<T> {
    /// Holds nothing.
    #[cfg(not(loom))]
    pub const fn empty() -> Self {
        Leaked(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Holds nothing; loom's atomics cannot be made beforehand.
    #[cfg(loom)]
    pub fn empty() -> Self {
        Leaked(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// What it holds.
    #[inline(always)]
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: only ever set from `&'static T`, or to null.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Holds `value` from now on.
    pub fn set(&self, value: Option<&'static T>) {
        self.0.store(pointer(value), Ordering::Release);
    }

    /// Takes out what it holds.
    pub fn take(&self) -> Option<&'static T> {
        // SAFETY: as in `get`.
        unsafe { self.0.swap(std::ptr::null_mut(), Ordering::AcqRel).as_ref() }
    }

    /// Puts `new` in the place of `old`, or says what is there instead.
    pub fn replace(
        &self,
        old: Option<&'static T>,
        new: &'static T,
    ) -> Result<(), Option<&'static T>> {
        self.0
            .compare_exchange(pointer(old), pointer(Some(new)), Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            // SAFETY: as in `get`.
            .map_err(|found| unsafe { found.as_ref() })
    }
}

fn pointer<T>(value: Option<&'static T>) -> *mut T {
    value.map_or(std::ptr::null_mut(), |value| std::ptr::from_ref(value).cast_mut())
}
