use std::collections::HashMap;

/// Things that failed, by name: to tell what is wrong with one of them from what is wrong with all.
#[derive(Debug, Default)]
pub struct Suspects {
    by_name: HashMap<String, Suspicion>,
    /// How often anything did well.
    well: u64,
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    failures: u32,
    /// [`Suspects::well`] at the first of them.
    well: u64,
}

/// More are not remembered: those that are still there fail again.
const MOST: usize = 1000;

impl Suspects {
    /// One failed. `true`: it has `often` by now, and others did well since it first did, so that it
    /// is to blame; it is forgotten.
    pub fn fail(&mut self, name: &str, often: u32) -> bool {
        if self.by_name.len() >= MOST {
            self.by_name.clear();
        }
        let first = Suspicion { failures: 0, well: self.well };
        let held = self.by_name.entry(name.to_owned()).or_insert(first);
        held.failures = held.failures.saturating_add(1);
        let guilty = held.failures >= often && self.well > held.well;
        if guilty {
            self.by_name.remove(name);
        }
        guilty
    }

    /// One did well.
    pub fn do_well(&mut self, name: &str) {
        self.well += 1;
        self.by_name.remove(name);
    }

    /// Whether this one failed, and did not do well since.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_that_fails_alone_is_to_blame() {
        let mut suspects = Suspects::default();
        suspects.do_well("before");
        for _ in 0..100 {
            assert!(!suspects.fail("a", 3) && !suspects.fail("b", 3), "all fail");
        }
        suspects.do_well("b");
        assert!(suspects.contains("a") && !suspects.contains("b"));
        assert!(suspects.fail("a", 3), "it alone fails still");
        assert!(!suspects.contains("a"));
        suspects.fail("c", 3);
        suspects.do_well("b");
        assert!(!suspects.fail("c", 3) && suspects.fail("c", 3), "not the first time");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut suspects = Suspects::default();
        (0..10 * MOST).for_each(|n| assert!(!suspects.fail(&n.to_string(), 3)));
        assert!(suspects.by_name.len() <= MOST);
    }
}
