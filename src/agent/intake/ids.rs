use crate::model::{SpanId, TraceId};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// From the agents' ids, which are any text, to ours.
///
/// Hashed under a random key of this process, so that nobody can choose ids that collide, and in
/// the scope of one application, so that those of two never meet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    seed: u64,
}

impl Ids {
    /// Of the application with this account key and name.
    pub(super) fn of(secret: [u64; 2], key: &str, name: &str) -> Ids {
        let inner = xxh3_64_with_seed(key.as_bytes(), secret[0]);
        Ids { seed: xxh3_64_with_seed(name.as_bytes(), inner ^ secret[1]) }
    }

    /// What a request is looked up by.
    pub(super) fn request(self, id: &str) -> u128 {
        xxh3_128_with_seed(id.as_bytes(), self.seed)
    }

    /// A span's id. Never zero.
    pub(super) fn span(self, id: &str) -> SpanId {
        SpanId(xxh3_64_with_seed(id.as_bytes(), self.seed).max(1))
    }

    /// A request's trace id: another one each time, so that a request id that is used again
    /// after its end names another request.
    pub(super) fn trace(self, request: u128, nonce: u64) -> TraceId {
        let bytes = xxh3_128_with_seed(&request.to_le_bytes(), self.seed ^ nonce).to_le_bytes();
        if bytes == [0; 16] { TraceId([1; 16]) } else { TraceId(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_two_applications_never_meet() {
        let a = Ids::of([1, 2], "key", "Shop");
        let b = Ids::of([1, 2], "key", "Shop2");
        let c = Ids::of([1, 2], "keyS", "hop");
        assert_eq!(a.request("req-1"), Ids::of([1, 2], "key", "Shop").request("req-1"));
        for other in [b, c] {
            assert_ne!(a.request("req-1"), other.request("req-1"));
            assert_ne!(a.span("span-1"), other.span("span-1"));
        }
        let request = a.request("req-1");
        assert_ne!(a.trace(request, 1), a.trace(request, 2));
        assert!(!a.span("").is_none());
    }
}
