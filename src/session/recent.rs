//! The ids of the messages seen last, so that a page that comes again is not delivered twice.

use std::collections::VecDeque;

/// The last [`Recent::CAPACITY`] message ids of a login; it outlives reconnects.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<u64>);

impl Recent {
    /// How many ids are remembered (the web SDK keeps about 100, messages spec §2.3).
    pub(crate) const CAPACITY: usize = 256;

    /// Notes an id; `false` when it was seen already. Id 0 stands for no id and is always new.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        if id == 0 {
            return true;
        }
        if self.0.contains(&id) {
            return false;
        }
        if self.0.len() >= Self::CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn an_id_is_new_once_until_it_falls_out_of_the_window() {
        let mut recent = Recent::default();
        assert!(recent.insert(7));
        assert!(!recent.insert(7));
        for id in 100..100 + Recent::CAPACITY as u64 {
            assert!(recent.insert(id));
        }
        assert!(recent.insert(7));
        assert_eq!(recent.0.len(), Recent::CAPACITY);
    }

    #[test]
    fn id_zero_is_never_a_repetition() {
        let mut recent = Recent::default();
        assert!(recent.insert(0));
        assert!(recent.insert(0));
    }
}
