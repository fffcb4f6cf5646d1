//! Which partition a record goes to. Two rules of the Kafka world are kept bit for bit, so that keyed
//! records land where producers on librdkafka (EventGate) or Kafka's Java client would put them, and a
//! stream can move between the embedded log and Kafka without splitting the history of a key.

/// The rule that maps a key to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioner {
    /// librdkafka's default, `consistent_random`: CRC-32 (IEEE) of the key modulo the number of
    /// partitions; records with an empty key or none go anywhere.
    #[default]
    ConsistentRandom,
    /// Kafka's Java producer (librdkafka: `murmur2_random`): `(murmur2(key) & 0x7fffffff)` modulo the
    /// number of partitions; records without a key go anywhere, an empty key is a key.
    Murmur2,
}

/// The partition, `0..partitions`, of a record with `key`. Where the rule leaves the choice open,
/// `unkeyed` makes it (a counter for round robin, or a random number; taken modulo `partitions`).
/// Zero partitions count as one.
pub fn partition_of(
    key: Option<&[u8]>,
    partitions: u32,
    by: Partitioner,
    unkeyed: impl FnOnce() -> u32,
) -> u32 {
    let partitions = partitions.max(1);
    let hash = match (by, key) {
        (Partitioner::ConsistentRandom, Some(key)) if !key.is_empty() => crc32fast::hash(key),
        (Partitioner::Murmur2, Some(key)) => murmur2(key) & 0x7fff_ffff,
        _ => unkeyed(),
    };
    hash % partitions
}

/// MurmurHash2, 32 bits, with the seed of Kafka's Java client.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    for (i, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Kafka's own tests assert for its Java client.
    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 0x106e_08d9),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn consistent_random_is_crc32_modulo_partitions() {
        let never = || unreachable!("a key decides");
        // The check value of CRC-32 (IEEE) is 0xCBF43926.
        for (partitions, expected) in [(1, 0), (2, 0), (50, 0xCBF4_3926_u32 % 50), (1024, 0x126)] {
            assert_eq!(
                partition_of(
                    Some(b"123456789"),
                    partitions,
                    Partitioner::ConsistentRandom,
                    never
                ),
                expected
            );
        }
        assert_eq!(
            partition_of(Some(b"foobar"), 50, Partitioner::Murmur2, never),
            ((-790_332_482_i32) as u32 & 0x7fff_ffff) % 50
        );
    }

    #[test]
    fn the_caller_chooses_where_no_key_does() {
        let seven = || 7;
        for by in [Partitioner::ConsistentRandom, Partitioner::Murmur2] {
            assert_eq!(partition_of(None, 5, by, seven), 2);
            assert_eq!(partition_of(None, 0, by, seven), 0);
        }
        assert_eq!(
            partition_of(Some(b""), 5, Partitioner::ConsistentRandom, seven),
            2
        );
        assert_eq!(
            partition_of(Some(b""), 5, Partitioner::Murmur2, seven),
            0x106e_08d9 % 5
        );
    }
}
