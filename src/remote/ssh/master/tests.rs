use super::*;

#[test]
fn a_way_through_a_master_never_logs_in_by_itself() {
    let command = through_master(Path::new("/tmp/muster-x/3/m"));
    assert!(command.contains("-o ProxyCommand=false"), "{command}");
    assert!(command.contains("-S /tmp/muster-x/3/m"), "{command}");
    assert!(command.ends_with("-W '[%h]:%p' none"), "{command}");
}
