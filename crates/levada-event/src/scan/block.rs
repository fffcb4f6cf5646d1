//! Sixty-four bytes at a time: at which places a byte stands, as the bits of a word.

use wide::u8x16;

/// Sixty-four bytes of a text.
#[derive(Clone, Copy)]
pub(super) struct Block<'t> {
    bytes: &'t [u8; Block::SIZE],
    /// How many of them lie before the place that was asked for.
    before: u32,
}

impl<'t> Block<'t> {
    pub(super) const SIZE: usize = 64;

    /// The bytes from `at` on; near the end of the text also some before it, which the masks leave out.
    /// A text shorter than a block is copied to `short`.
    #[inline(always)]
    pub(super) fn load(bytes: &'t [u8], at: usize, short: &'t mut [u8; Block::SIZE]) -> Self {
        if let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            return Self {
                bytes: chunk,
                before: 0,
            };
        }
        Self::load_last(bytes, at, short)
    }

    #[inline(never)]
    fn load_last(bytes: &'t [u8], at: usize, short: &'t mut [u8; Block::SIZE]) -> Self {
        let Some(chunk) = bytes.last_chunk() else {
            short[..bytes.len()].copy_from_slice(bytes);
            short[bytes.len()..].fill(b' ');
            let before = at.min(Block::SIZE) as u32;
            return Self { bytes: short, before };
        };
        let before = (at - (bytes.len() - Block::SIZE)).min(Block::SIZE) as u32;
        Self { bytes: chunk, before }
    }

    /// Bit i is set where the byte at `at` + i is `byte`.
    #[inline(always)]
    pub(super) fn places<const BYTE: u8>(&self) -> u64 {
        let (quarters, _) = self.bytes.as_chunks::<16>();
        let place = |at: usize| u64::from(equal(&quarters[at], BYTE).to_bitmask()) << (16 * at);
        let places = place(0) | place(1) | place(2) | place(3);
        places.checked_shr(self.before).unwrap_or(0)
    }
}

/// Which of sixteen bytes are `byte`.
#[inline(always)]
fn equal(bytes: &[u8; 16], byte: u8) -> u8x16 {
    u8x16::new(*bytes).simd_eq(u8x16::splat(byte))
}

/// The first quote or backslash of sixteen bytes.
#[inline(always)]
pub(super) fn first_end(bytes: &[u8; 16]) -> Option<usize> {
    let ends = (equal(bytes, b'"') | equal(bytes, b'\\')).to_bitmask();
    (ends != 0).then(|| ends.trailing_zeros() as usize)
}

/// Which places of a block are escaped by a backslash before them, given where backslashes stand and whether
/// the block's first byte is escaped by one before the block.
#[inline(always)]
pub(super) fn escaped(slashes: u64, first: bool) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let carry = u64::from(first);
    if slashes == 0 {
        return carry;
    }
    // A run of backslashes escapes every second byte from its own second one on, so the byte behind the run is
    // escaped if the run's length is odd. Adding the run's first bit to the run carries into the byte
    // behind it; whether that place is even or odd then tells even runs from odd ones.
    let slashes = slashes & !carry;
    let follows = slashes << 1 | carry;
    let odd_starts = slashes & !EVEN & !follows;
    let sum = odd_starts.wrapping_add(slashes);
    (EVEN ^ (sum << 1)) & follows
}

/// Bit i of the result is the parity of bits 0..=i.
#[inline(always)]
pub(super) fn parities(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_right(
            bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>()], 0..150), at in 0_usize..150
        ) {
            let at = at.min(bytes.len());
            let expected = |wanted: &[u8]| (0..64).fold(0_u64, |mask, i| {
                mask | u64::from(bytes.get(at + i).is_some_and(|b| wanted.contains(b))) << i
            });
            let mut short = [0; 64];
            let block = Block::load(&bytes, at, &mut short);
            prop_assert_eq!(block.places::<b'"'>(), expected(b"\""));
            prop_assert_eq!(block.places::<b'\\'>(), expected(b"\\"));
        }

        #[test]
        fn escapes_are_right(slashes in any::<u64>(), more in any::<u64>(), first in any::<bool>()) {
            let slashes = slashes | more;
            let mut expected = 0;
            let mut next = first;
            for i in 0..64 {
                expected |= u64::from(next) << i;
                next = !next && slashes >> i & 1 == 1;
            }
            prop_assert_eq!(escaped(slashes, first), expected);
            let parity = parities(slashes);
            prop_assert!((0..64).all(|i| parity >> i & 1 == u64::from((slashes << (63 - i)).count_ones() % 2)));
        }
    }
}
