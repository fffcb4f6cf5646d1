//! Parts: a stream's partitions in tenths, for parallel connections (contract realtime §1.4).

/// Parts of a stream. Of one with fewer partitions some parts have none.
pub(super) const PARTS: u32 = 10;

/// The partitions of these parts; `None` for all. A part that stands twice counts once.
pub(super) fn partitions(parts: &[i64], count: u32) -> Result<Option<Vec<u32>>, String> {
    if parts.is_empty() {
        return Ok(None);
    }
    if parts.len() > PARTS as usize {
        return Err(format!(
            "the query param parts has length {}, max allowed length {PARTS}",
            parts.len()
        ));
    }
    let mut chosen = Vec::new();
    for part in parts {
        let number = u32::try_from(*part).ok().filter(|number| *number < PARTS);
        let Some(number) = number else {
            return Err(format!(
                "the part value is {part}, allowed value should be in the range [0,{}]",
                PARTS - 1
            ));
        };
        // Consecutive, and within one of each other where the partitions do not divide.
        let bound = |part: u32| (u64::from(part) * u64::from(count)).div_ceil(u64::from(PARTS));
        for partition in bound(number)..bound(number + 1) {
            let partition = partition as u32;
            if !chosen.contains(&partition) {
                chosen.push(partition);
            }
        }
    }
    Ok(Some(chosen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_tenth_and_all_parts_are_all() {
        assert_eq!(partitions(&[], 50), Ok(None));
        assert_eq!(partitions(&[1, 1], 50), Ok(Some((5..10).collect())));
        assert_eq!(partitions(&[0], 1), Ok(Some(vec![0])));
        assert_eq!(partitions(&[1, 2, 9], 3), Ok(Some(vec![])));
        assert_eq!(partitions(&[0, 3, 6], 3), Ok(Some(vec![0, 1, 2])));
        for count in [1, 3, 10, 12, 50, 64] {
            let all: Vec<i64> = (0..i64::from(PARTS)).collect();
            assert_eq!(partitions(&all, count), Ok(Some((0..count).collect())), "{count}");
        }
        assert_eq!(
            partitions(&[10], 50).unwrap_err(),
            "the part value is 10, allowed value should be in the range [0,9]"
        );
        assert_eq!(
            partitions(&[0; 11], 50).unwrap_err(),
            "the query param parts has length 11, max allowed length 10"
        );
    }
}
