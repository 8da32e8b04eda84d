//! "Did you mean": the known word that is nearest to an unknown one.

/// Longer words are not slips of the pen.
const LONGEST: usize = 64;
/// Beyond so many mistakes nobody reads a guess any more, and guessing costs time.
pub(super) const GUESSES: usize = 30;
/// Only so many candidates are looked at, so that many unknown names in a large file stay quick.
const MOST: usize = 2_000;

/// The nearest of the candidates, if one is near: a third of the letters may differ, at least one and at most three.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let near = |candidate: &&str| candidate.len() <= LONGEST && candidate.len().abs_diff(word.len()) <= 3;
    let measured = candidates.take(MOST).filter(near).map(|candidate| (distance(word, candidate), candidate));
    measured.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// How many letters must be put in, taken out, replaced or exchanged with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let exchanged = if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    rows[i - 2][j - 2] + 1
                } else {
                    usize::MAX
                };
                replaced.min(exchanged).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        let known = ["topology", "nodes", "plugins", "rollout", "admin"];
        for (word, meant) in [("topolgy", "topology"), ("node", "nodes"), ("plguins", "plugins"), ("rolout", "rollout")]
        {
            assert_eq!(nearest(word, known.into_iter()), Some(meant), "{word}");
        }
    }

    #[test]
    fn other_words_are_not_guessed() {
        assert_eq!(nearest("replicas", ["topology", "nodes"].into_iter()), None);
        assert_eq!(nearest("", ["nodes"].into_iter()), None);
        assert_eq!(nearest(&"x".repeat(1000), ["nodes"].into_iter()), None);
    }

    #[test]
    fn the_nearest_wins() {
        assert_eq!(nearest("eu-prob", ["eu-prov2", "eu-prod"].into_iter()), Some("eu-prod"));
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
