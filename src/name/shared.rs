//! Values that thousands of nodes have alike, kept once.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A value that may have many holders. It reads like the value itself; whether it is shared shows in nothing but memory.
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// The value to write to; a copy of its own, if others hold it too.
    pub fn to_mut(&mut self) -> &mut T
    where
        T: Clone,
    {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Shared<BTreeMap<K, V>> {
    fn from(entries: [(K, V); N]) -> Self {
        BTreeMap::from(entries).into()
    }
}

#[expect(clippy::into_iter_without_iter, reason = "the value's own `iter` is reached through `Deref`")]
impl<'a, T> IntoIterator for &'a Shared<T>
where
    &'a T: IntoIterator,
{
    type Item = <&'a T as IntoIterator>::Item;
    type IntoIter = <&'a T as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        (&*self.0).into_iter()
    }
}

impl<A, T: FromIterator<A>> FromIterator<A> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = A>>(all: I) -> Self {
        T::from_iter(all).into()
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: serde::Serialize> serde::Serialize for Shared<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Shared<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

/// How many values of one key are kept to be compared with. A fleet has a handful; nodes that are all different must not
/// make it quadratic.
const KEPT: usize = 8;

/// The values that were seen, by what they are values of.
pub struct Pool<K, T> {
    kept: BTreeMap<K, Vec<Shared<T>>>,
}

impl<K, T> Default for Pool<K, T> {
    fn default() -> Self {
        Self { kept: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, T: PartialEq> Pool<K, T> {
    /// The value; the same one as before, if an equal one was seen under this key.
    pub fn share(&mut self, key: &K, value: Shared<T>) -> Shared<T> {
        let Some(kept) = self.kept.get_mut(key) else {
            self.kept.insert(key.clone(), vec![value.clone()]);
            return value;
        };
        if let Some(known) = kept.iter().rev().find(|known| **known == value) {
            return known.clone();
        }
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(value.clone());
        value
    }
}

/// The last answers of a function, by what it was asked: nodes that are alike ask alike. What is asked has to hold
/// everything that the answer depends on.
pub struct Recall<Q, A> {
    known: Vec<(Q, A)>,
}

impl<Q, A> Default for Recall<Q, A> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<Q: PartialEq, A: Clone> Recall<Q, A> {
    /// The answer; the one given before, if the same was asked.
    pub fn ask(&mut self, question: Q, answer: impl FnOnce(&Q) -> A) -> A {
        if let Some((_, known)) = self.known.iter().rev().find(|(asked, _)| *asked == question) {
            return known.clone();
        }
        if self.known.len() >= KEPT {
            self.known.remove(0);
        }
        let answer = answer(&question);
        self.known.push((question, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_of_one_key_become_one() {
        let mut pool: Pool<&str, Vec<u32>> = Pool::default();
        let first = pool.share(&"a", vec![1].into());
        let second = pool.share(&"a", vec![1].into());
        assert!(Arc::ptr_eq(&first.0, &second.0));
        assert!(!Arc::ptr_eq(&first.0, &pool.share(&"b", vec![1].into()).0));
        assert_eq!(*pool.share(&"a", vec![2].into()), [2]);
    }

    #[test]
    fn only_a_few_are_kept_of_a_key() {
        let mut pool: Pool<u8, u32> = Pool::default();
        for number in 0..100 {
            assert_eq!(*pool.share(&0, number.into()), number);
        }
        assert_eq!(pool.kept[&0].len(), KEPT);
    }

    #[test]
    fn what_was_asked_before_is_not_worked_out_again() {
        let mut recall: Recall<u32, u32> = Recall::default();
        let mut worked = Vec::new();
        for question in [1, 2, 1, 2, 3, 1] {
            let double = |question: &u32| {
                worked.push(*question);
                question * 2
            };
            assert_eq!(recall.ask(question, double), question * 2);
        }
        assert_eq!(worked, [1, 2, 3]);
    }

    #[test]
    fn only_a_few_answers_are_recalled() {
        let mut recall: Recall<usize, usize> = Recall::default();
        for question in 0..100 {
            assert_eq!(recall.ask(question, |question| *question), question);
        }
        assert_eq!(recall.known.len(), KEPT);
    }

    #[test]
    fn writing_to_one_leaves_the_others() {
        let mut one: Shared<Vec<u32>> = vec![1].into();
        let other = one.clone();
        one.to_mut().push(2);
        assert_eq!((one.len(), other.len()), (2, 1));
    }
}
