//! Texts of identifiers, each kept once: thousands of nodes say the same few hundred names, paths and digests.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Below so many nothing is cleared away.
const FEW: usize = 1 << 14;

struct Pool {
    texts: HashSet<Arc<str>>,
    /// When the pool is as large as this, what nobody holds any more goes.
    full: usize,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// The text, shared with everybody who has the same. Whether it is shared shows in nothing but memory, which is why a
/// module without state may have this one.
pub(crate) fn text(text: &str) -> Arc<str> {
    // A panic elsewhere leaves the set whole: every change of it is one call.
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    pool.get_or_insert_with(|| Pool { texts: HashSet::new(), full: FEW }).share(text)
}

impl Pool {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        if self.texts.len() >= self.full {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.full = (self.texts.len() * 2).max(FEW);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one() {
        assert!(Arc::ptr_eq(&text("intern-a"), &text("intern-a")));
        assert!(!Arc::ptr_eq(&text("intern-a"), &text("intern-b")));
    }

    #[test]
    fn what_nobody_holds_is_cleared_away() {
        let mut pool = Pool { texts: HashSet::new(), full: 4 };
        let held = pool.share("held");
        for number in 0..100 {
            pool.share(&number.to_string());
            assert!(pool.texts.len() <= FEW);
        }
        pool.full = 4;
        pool.share("one more");
        assert_eq!(pool.texts.len(), 2, "{:?}", pool.texts);
        assert!(Arc::ptr_eq(&held, &pool.share("held")));
    }
}
