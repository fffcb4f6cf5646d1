use super::*;

fn json(text: &str) -> Result<Params, String> {
    let mut params = Params::default();
    params.bind_json(text)?;
    params.check_lists()?;
    Ok(params)
}

fn query(text: &str) -> Result<Params, String> {
    let mut params = Params::default();
    params.bind_pairs(text)?;
    Ok(params)
}

#[test]
fn bodies_bind_as_the_original_binds_them() {
    let all = json(
        r#"{"FIELDS":["name","event.*"],"filters":[{"field":"identifier","value":12345678}],"parts":[0,1],
            "offsets":{"0":5,"7":null},"since_per_partition":{"1":"2025-01-01T01:00:00.5+01:00"},"limit":3} trailing"#,
    )
    .unwrap();
    assert_eq!(all.fields, ["name", "event.*"]);
    assert_eq!(all.filters, [r#"{"field":"identifier","value":12345678}"#]);
    assert_eq!(all.parts, [0, 1]);
    assert_eq!(all.offsets.get(&7), Some(&0));
    assert_eq!(
        all.since_per_partition[&1].to_string(),
        "2025-01-01T00:00:00.500Z"
    );
    for nothing in ["null", "{}", r#"{"since":null,"parts":null}"#] {
        assert_eq!(json(nothing), Ok(Params::default()), "{nothing}");
    }
    for bad in [
        "[]",
        "{",
        r#"{"fields":"name"}"#,
        r#"{"parts":["0"]}"#,
        r#"{"parts":[0.5]}"#,
        r#"{"offsets":{"a":1}}"#,
        r#"{"offsets":{"0":1.5}}"#,
        r#"{"offsets":{"0":9223372036854775808}}"#,
        r#"{"fields":[""]}"#,
        r#"{"since":{"0":"2025-01-01T00:00:00Z"}}"#,
        r#"{"since":""}"#,
        r#"{"since":"2025-01-01"}"#,
        r#"{"since":"1735689600000"}"#,
        r#"{"since":"yesterday"}"#,
        r#"{"since":"2025-01-01T118:41:29.98Z"}"#,
    ] {
        assert!(json(bad).is_err(), "{bad}");
    }
    let many = format!(r#"{{"fields":[{}"x"]}}"#, r#""x","#.repeat(255));
    assert!(
        json(&many)
            .unwrap_err()
            .contains("'Fields' failed on the 'max' tag")
    );
}

#[test]
fn queries_repeat_keys_and_hold_json() {
    let params = query("fields=name&fields=url&parts=0&parts=1&offsets=%7B%220%22%3A5%7D&since=").unwrap();
    assert_eq!((params.fields.len(), params.parts.len()), (2, 2));
    assert_eq!(params.offsets[&0], 5);
    assert!(query("parts=[0,1]").is_err());
    // A plus that became a space.
    let since = query("since=2025-01-01T01:00:00+01:00").unwrap().since.unwrap();
    assert_eq!(since.to_string(), "2025-01-01T00:00:00.000Z");
}

#[test]
fn positions_outside_the_chosen_partitions_are_dropped() {
    let params =
        json(r#"{"offsets":{"0":5,"9":6,"99":7},"since_per_partition":{"9":"2025-01-01T00:00:00Z"}}"#)
            .unwrap();
    assert_eq!(params.positions(|p| p < 5).unwrap().len(), 1);
    assert!(params.positions(|p| p < 50).unwrap_err().contains("partion"));
    // Fifty fit every stream, whatever its partitions.
    assert_eq!(params.check_sizes(2), Ok(()));
    let many: Vec<String> = (0..51).map(|partition| format!("\"{partition}\":0")).collect();
    let many = json(&format!("{{\"offsets\":{{{}}}}}", many.join(","))).unwrap();
    let fault = many.check_sizes(50).unwrap_err();
    assert!(fault.contains("has length 51, max allowed length 50"), "{fault}");
    assert_eq!(many.check_sizes(64), Ok(()));
    let now = Timestamp::parse_iso("2024-01-01T00:00:00Z").unwrap();
    assert_eq!(
        params.check_times(now).unwrap_err(),
        "since_per_partition for partition 9 has future time 2025-01-01T00:00:00.000Z"
    );
}
