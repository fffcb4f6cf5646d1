//! Finding the next of two or three bytes, fast for near and for far ones, in safe code.
//!
//! Near ones are found eight bytes at a time with plain arithmetic, farther ones by asking of 64
//! bytes at once whether any is among them (loops that compilers turn into vector code), and very far ones
//! by memchr, which uses the widest vectors the processor has.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Bytes looked at before the search for near ones ends.
const NEAR: usize = 24;

/// Chunks of 64 bytes without a hit after which memchr's set-up pays.
const CHUNKS: usize = 4;

/// The first place at or after `at` that holds `A` or `B`.
#[inline(always)]
pub(crate) fn find2<const A: u8, const B: u8>(bytes: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..NEAR / 8 {
        let Some(word) = word(bytes, at) else { break };
        let marks = marks(word, A) | marks(word, B);
        if marks != 0 {
            return Some(at + first(marks));
        }
        at += 8;
    }
    far2::<A, B>(bytes, at)
}

/// The first place at or after `at` that holds `A`, `B` or `C`.
#[inline(always)]
pub(crate) fn find3<const A: u8, const B: u8, const C: u8>(bytes: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..NEAR / 8 {
        let Some(word) = word(bytes, at) else { break };
        let marks = marks(word, A) | marks(word, B) | marks(word, C);
        if marks != 0 {
            return Some(at + first(marks));
        }
        at += 8;
    }
    far3::<A, B, C>(bytes, at)
}

#[inline(never)]
fn far2<const A: u8, const B: u8>(bytes: &[u8], at: usize) -> Option<usize> {
    far(
        bytes,
        at,
        |byte| byte == A || byte == B,
        |word| marks(word, A) | marks(word, B),
        |rest| memchr::memchr2(A, B, rest),
    )
}

#[inline(never)]
fn far3<const A: u8, const B: u8, const C: u8>(bytes: &[u8], at: usize) -> Option<usize> {
    far(
        bytes,
        at,
        |byte| byte == A || byte == B || byte == C,
        |word| marks(word, A) | marks(word, B) | marks(word, C),
        |rest| memchr::memchr3(A, B, C, rest),
    )
}

#[inline(always)]
fn far(
    bytes: &[u8],
    mut at: usize,
    is_wanted: impl Fn(u8) -> bool,
    word_marks: impl Fn(u64) -> u64,
    search: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    for _ in 0..CHUNKS {
        let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<64>) else {
            break;
        };
        // No early end: that is what lets the loop become a few vector instructions.
        if chunk.iter().fold(false, |any, &byte| any | is_wanted(byte)) {
            let (words, _) = chunk.as_chunks::<8>();
            for word in words {
                let marks = word_marks(u64::from_le_bytes(*word));
                if marks != 0 {
                    return Some(at + first(marks));
                }
                at += 8;
            }
        }
        at += 64;
    }
    let rest = bytes.get(at..)?;
    if rest.len() >= 64 {
        return search(rest).map(|i| at + i);
    }
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        let marks = word_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(at + first(marks));
        }
        at += 8;
    }
    tail.iter().position(|&byte| is_wanted(byte)).map(|i| at + i)
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*chunk))
}

/// Sets the high bit of every byte of `word` that equals `byte`. Borrows may set wrong bits, but only
/// above a right one, so the lowest set bit is always right.
#[inline(always)]
fn marks(word: u64, byte: u8) -> u64 {
    let differs = word ^ (ONES * u64::from(byte));
    differs.wrapping_sub(ONES) & !differs & HIGH
}

#[inline(always)]
fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_found(
            gaps in prop::collection::vec((prop_oneof![0_usize..30, 0_usize..700], prop_oneof![
                Just(b'"'), Just(b'\\'), Just(b'}'), Just(b'"' + 1), Just(b'"' - 1), any::<u8>()
            ]), 0..6),
            fill in prop_oneof![Just(b'a'), Just(0x80), Just(0), Just(0xff), Just(b'!')], at in 0_usize..40
        ) {
            let mut bytes = Vec::new();
            for (gap, byte) in gaps {
                bytes.resize(bytes.len() + gap, fill);
                bytes.push(byte);
            }
            let expected = |wanted: &[u8]| {
                (at..bytes.len()).find(|&i| wanted.contains(&bytes[i]))
            };
            prop_assert_eq!(find2::<b'"', b'\\'>(&bytes, at), expected(b"\"\\"));
            prop_assert_eq!(find3::<b'"', b'\\', b'}'>(&bytes, at), expected(b"\"\\}"));
        }
    }
}
