//! Waiting, but not for ever.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The longest sleep between two attempts.
const STEP: Duration = Duration::from_millis(1);

/// A lock, if it can be had until `deadline`; tried at least once. One whose holder panicked counts
/// as any other.
pub fn lock_until<T>(mutex: &Mutex<T>, deadline: Instant) -> Option<MutexGuard<'_, T>> {
    let mut pause = STEP / 20;
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => {
                return Some(PoisonError::into_inner(poisoned));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_and_not_for_ever() {
        let mutex = Mutex::new(1);
        let held = mutex.lock().unwrap();
        assert!(lock_until(&mutex, Instant::now()).is_none());
        assert!(lock_until(&mutex, Instant::now() + Duration::from_millis(5)).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                lock_until(&mutex, Instant::now() + Duration::from_secs(60)).map(|held| *held)
            });
            std::thread::sleep(Duration::from_millis(2));
            drop(held);
            assert_eq!(waiting.join().unwrap(), Some(1));
        });
        let _ = std::panic::catch_unwind(|| {
            let _held = mutex.lock().unwrap();
            std::panic::resume_unwind(Box::new("poisons it"));
        });
        assert!(lock_until(&mutex, Instant::now()).is_some());
    }
}
