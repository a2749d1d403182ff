//! A cache of things that are dear to make, by what they were made from. Bounded in number and in bytes,
//! since pictures of ever different sizes ask for ever different things.

/// How many things are kept at most: twice what a recipe of 32 tiled marks asks for, four stamps
/// each. With fewer than it asks for, each picture would push out what the next one needs first.
const MOST: usize = 256;

#[derive(Debug)]
pub struct Cache<K, V> {
    /// The one used last comes last.
    entries: Vec<Entry<K, V>>,
    /// Bytes that all of them may have together; a single one may have more.
    budget: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    bytes: usize,
}

impl<K: PartialEq, V> Cache<K, V> {
    pub fn new(budget: usize) -> Self {
        Self {
            entries: Vec::new(),
            budget,
        }
    }

    /// The thing for `key`; `make` makes it and tells how many bytes it has.
    pub fn find<E>(
        &mut self,
        key: K,
        make: impl FnOnce(&K) -> Result<(V, usize), E>,
    ) -> Result<&V, E> {
        if let Some(at) = self.entries.iter().position(|entry| entry.key == key) {
            self.entries[at..].rotate_left(1);
        } else {
            let (value, bytes) = make(&key)?;
            // Room is made first, so that the newest one always stays.
            while self.entries.len() >= MOST
                || !self.entries.is_empty() && self.bytes().saturating_add(bytes) > self.budget
            {
                self.entries.remove(0);
            }
            self.entries.push(Entry { key, value, bytes });
        }
        Ok(&self.entries[self.entries.len() - 1].value)
    }

    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for things of the given keys and sizes; the keys that had to be made.
    fn made(cache: &mut Cache<u32, u32>, wanted: &[(u32, usize)]) -> Vec<u32> {
        let mut made = Vec::new();
        for &(key, bytes) in wanted {
            let value = cache.find(key, |&key| {
                made.push(key);
                Ok::<_, ()>((key * 10, bytes))
            });
            assert_eq!(value, Ok(&(key * 10)));
        }
        made
    }

    #[test]
    fn the_longest_unused_go_first() {
        let mut cache = Cache::new(100);
        let wanted = [(1, 40), (2, 40), (1, 40), (3, 40), (1, 40), (2, 40)];
        assert_eq!(made(&mut cache, &wanted), [1, 2, 3, 2]);
        // Larger than the budget: it stands alone.
        assert_eq!(made(&mut cache, &[(4, 1000), (4, 1000), (5, 1)]), [4, 5]);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn the_number_is_bounded() {
        let mut cache = Cache::new(usize::MAX);
        let many: Vec<_> = (0..1000).map(|key| (key, 1)).collect();
        assert_eq!(made(&mut cache, &many).len(), 1000);
        assert_eq!(cache.len(), MOST);
    }

    #[test]
    fn what_could_not_be_made_is_not_kept() {
        let mut cache = Cache::<u32, u32>::new(100);
        assert_eq!(cache.find(1, |_| Err("no")), Err("no"));
        assert_eq!(made(&mut cache, &[(1, 1)]), [1]);
    }
}
