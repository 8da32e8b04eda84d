//! Each way in which a proof was once wrong (protocols.md B3), replayed against the machine in simulated time.

use super::*;

const MASTER: Process = (100, 5);
const STUCK: Readiness = Readiness { status: 503, empty: false, stuck: true };
const OLD: [u32; 2] = [11, 12];

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn digest() -> Digest {
    Digest::of(b"acme-auth 2.1.0")
}

fn set(pids: &[u32]) -> BTreeSet<Process> {
    pids.iter().map(|pid| (*pid, u64::from(*pid) * 10)).collect()
}

fn plugin(name: &str) -> PluginName {
    PluginName::parse(name).unwrap()
}

fn terms() -> Terms {
    Terms {
        restarts: false,
        master: MASTER,
        before: set(&OLD),
        loaded: BTreeMap::from([(plugin("acme-auth"), Some("2.1.0".to_owned()))]),
        gone: BTreeSet::from([plugin("legacy-hmac")]),
        staged: vec![digest()],
        admin: true,
        ready: Some(Readiness { status: 200, empty: false, stuck: false }),
        proxy: true,
        limit: Duration::from_secs(280),
        settle: ms(1000),
    }
}

/// A generation of workers: what they would say of themselves.
#[derive(Clone)]
struct Generation {
    version: &'static str,
    legacy: bool,
    staged: bool,
    pids_known: bool,
}

const NEW: Generation = Generation { version: "2.1.0", legacy: false, staged: true, pids_known: true };
const STALE: Generation = Generation { version: "2.0.3", legacy: true, staged: false, pids_known: true };

/// What the node looks like from some time on.
#[derive(Clone)]
struct Stage {
    from: u64,
    idle: bool,
    live: Vec<u32>,
    leaving: Vec<u32>,
    says: Generation,
    ready: u16,
}

fn stage(from: u64, idle: bool, live: &[u32], says: Generation) -> Stage {
    Stage { from, idle, live: live.to_vec(), leaving: Vec::new(), says, ready: 200 }
}

fn facts(stage: &Stage) -> AdminFacts {
    let mut loaded = BTreeMap::from([(plugin("acme-auth"), Some(stage.says.version.to_owned()))]);
    if stage.says.legacy {
        loaded.insert(plugin("legacy-hmac"), None);
    }
    let path = if stage.says.staged { format!("/rel/{}/?.lua;old", digest()) } else { "old".to_owned() };
    AdminFacts {
        version: "3.9.1".to_owned(),
        loaded: loaded.into(),
        lua_package_path: Some(path),
        workers: stage.says.pids_known.then(|| stage.live.iter().copied().collect()),
        ..AdminFacts::default()
    }
}

struct Course {
    result: Next,
    at: Duration,
    alarms: u32,
    seen: Vec<String>,
}

/// Lets the machine look at a node that goes through these stages. Asking takes 5 ms.
fn run(terms: Terms, stages: &[Stage]) -> Course {
    let mut proof = Proof::new(terms);
    let (mut at, mut answer) = (Duration::ZERO, None);
    let mut course = Course { result: Next::Ask(Question::Ready), at, alarms: 0, seen: Vec::new() };
    for _ in 0..100_000 {
        let now = stages.iter().rfind(|stage| ms(stage.from) <= at).unwrap();
        let sample =
            Sample { at, master: Some(MASTER), idle: now.idle, live: set(&now.live), leaving: set(&now.leaving) };
        match proof.observe(&sample, answer.take()) {
            Next::Look { after, seeing, alarm } => {
                course.alarms += u32::from(alarm);
                course.seen.push(seeing);
                at += after.max(ms(1));
            }
            Next::Ask(question) => {
                answer = Some(match question {
                    Question::Admin => Answer::Admin(Box::new(Ok(facts(now)))),
                    // 599 stands for the 503 of a failed load.
                    Question::Ready if now.ready == 599 => Answer::Ready(Some(STUCK)),
                    Question::Ready => Answer::Ready(Some(Readiness { status: now.ready, empty: false, stuck: false })),
                    Question::Proxy(count) => Answer::Proxy(count),
                });
                at += ms(5);
            }
            end => {
                course.result = end;
                course.at = at;
                return course;
            }
        }
    }
    panic!("the proof never ends");
}

fn failed(course: &Course) -> &str {
    match &course.result {
        Next::Failed(cause) => &cause.code,
        other => panic!("not failed: {other:?}"),
    }
}

fn proven(course: &Course) -> &str {
    match &course.result {
        Next::Proven(text) => text,
        other => panic!("not proven: {other:?}"),
    }
}

#[test]
fn a_good_reload_is_proven_with_what_the_new_workers_said() {
    let mix = [11, 12, 21, 22];
    let course =
        run(terms(), &[stage(0, false, &OLD, STALE), stage(300, true, &mix, NEW), stage(400, true, &[21, 22], NEW)]);
    assert_eq!(
        proven(&course),
        "2 workers new, acme-auth 2.1.0, without legacy-hmac, ready, 8 proxied requests answered"
    );
    assert!(course.at >= ms(1400), "stable for a second first: {:?}", course.at);
    assert!(course.at < ms(2500), "{:?}", course.at);
    assert!(course.seen.contains(&"still loading (2 old workers answer)".to_owned()), "{:?}", course.seen);
    assert!(course.seen.contains(&"2 new workers, 2 old ones still answer".to_owned()), "{:?}", course.seen);
}

#[test]
fn a_failed_reload_is_failed_at_once() {
    let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(140, true, &OLD, STALE)]);
    assert_eq!(failed(&course), "reload-failed");
    assert!(course.at < ms(500), "{:?}", course.at);
}

#[test]
fn a_slow_failure_is_failed_as_soon_as_it_is_done() {
    let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(3260, true, &OLD, STALE)]);
    assert_eq!(failed(&course), "reload-failed");
    assert!(course.at > ms(3260) && course.at < ms(3800), "{:?}", course.at);
}

#[test]
fn a_slow_load_of_three_seconds_is_no_failure() {
    let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(3000, true, &[21, 22], NEW)]);
    proven(&course);
}

#[test]
fn a_load_longer_than_any_patience_raises_one_alarm_and_is_still_awaited() {
    let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(150_000, true, &[21, 22], NEW)]);
    proven(&course);
    assert_eq!(course.alarms, 1);
}

#[test]
fn a_load_beyond_the_guards_deadline_is_left_to_the_guard() {
    let course = run(terms(), &[stage(0, false, &OLD, STALE)]);
    assert_eq!(failed(&course), "timed-out");
    assert!(course.at >= Duration::from_secs(280));
}

#[test]
fn the_only_worker_killed_after_a_failed_content_upgrade_is_not_taken_for_a_new_generation() {
    // The looks happen to miss the time between the failure and the kill: wanted set, new pid, ready, and old code.
    let old_code = Generation { version: "2.1.0", legacy: false, staged: false, pids_known: true };
    let terms = Terms { before: set(&[11]), ..terms() };
    let course = run(terms, &[stage(0, false, &[11], STALE), stage(600, true, &[31], old_code)]);
    assert_eq!(failed(&course), "reload-failed");
    assert!(course.at < ms(2000), "{:?}", course.at);
}

#[test]
fn all_workers_killed_while_the_master_fails_is_told_by_the_staged_path() {
    let old_code = Generation { version: "2.1.0", legacy: false, staged: false, pids_known: true };
    let course = run(
        terms(),
        &[stage(0, false, &OLD, STALE), stage(500, false, &[], STALE), stage(2000, true, &[31, 32], old_code)],
    );
    assert_eq!(failed(&course), "reload-failed");
}

#[test]
fn a_third_partys_reload_in_the_middle_is_no_failure() {
    let course = run(
        terms(),
        &[
            stage(0, false, &OLD, STALE),
            stage(300, true, &[21, 22], NEW),
            stage(700, false, &[21, 22], NEW),
            stage(1200, true, &[21, 22, 41, 42], NEW),
            stage(1300, true, &[41, 42], NEW),
        ],
    );
    assert!(proven(&course).starts_with("2 workers new"));
    assert!(course.at >= ms(2300), "the last generation is the one that has to be stable: {:?}", course.at);
}

#[test]
fn a_third_partys_reload_with_other_settings_is_not_taken_for_ours() {
    let course = run(
        terms(),
        &[
            stage(0, false, &OLD, STALE),
            stage(300, true, &[21, 22], NEW),
            stage(700, false, &[21, 22], NEW),
            stage(1200, true, &[41, 42], STALE),
        ],
    );
    assert_eq!(failed(&course), "reload-failed");
}

#[test]
fn merged_reloads_count_only_after_the_last_generation() {
    // The first, bad generation comes at 4.4 s and the master is not idle: a HUP is pending still.
    let course = run(
        terms(),
        &[stage(0, false, &OLD, STALE), stage(4400, false, &[21, 22], STALE), stage(5670, true, &[31, 32], NEW)],
    );
    proven(&course);
    assert!(course.at >= ms(6670), "{:?}", course.at);
}

#[test]
fn an_exiting_worker_that_lost_its_title_for_a_moment_does_not_count_as_gone() {
    // 12 vanishes from one look (empty command line) and is back in the next, old and serving as it seems.
    let course = run(
        terms(),
        &[
            stage(0, false, &OLD, STALE),
            stage(100, true, &[11, 12, 21, 22], NEW),
            stage(200, true, &[12, 21, 22], NEW),
            stage(300, true, &[21, 22], NEW),
            stage(301, true, &[12, 21, 22], NEW),
            stage(500, true, &[21, 22], NEW),
        ],
    );
    proven(&course);
    assert!(course.at >= ms(1500), "{:?}", course.at);
}

#[test]
fn one_look_without_new_workers_is_not_yet_a_failure() {
    let course = run(
        terms(),
        &[
            stage(0, false, &OLD, STALE),
            stage(100, true, &OLD, STALE),
            stage(150, true, &[11, 12, 21], NEW),
            stage(300, true, &[21, 22], NEW),
        ],
    );
    // Whether two looks fall into the 50 ms decides; with pauses from 20 ms that may be, so only the rule is checked.
    let mut proof = Proof::new(terms());
    let sample = |live: &[u32]| Sample {
        at: ms(1),
        master: Some(MASTER),
        idle: true,
        live: set(live),
        leaving: BTreeSet::new(),
    };
    assert!(matches!(proof.observe(&sample(&OLD), None), Next::Look { .. }));
    assert!(matches!(proof.observe(&sample(&[11, 12, 21]), None), Next::Look { .. }));
    assert!(matches!(proof.observe(&sample(&OLD), None), Next::Look { .. }), "the two have to be in a row");
    assert!(matches!(proof.observe(&sample(&OLD), None), Next::Failed(_)));
    assert!(matches!(course.result, Next::Proven(_) | Next::Failed(_)));
}

#[test]
fn lingering_old_workers_with_requests_in_flight_do_not_hinder() {
    let mut done = stage(300, true, &[21, 22], NEW);
    done.leaving = OLD.to_vec();
    proven(&run(terms(), &[stage(0, false, &OLD, STALE), done]));
}

#[test]
fn a_mix_that_stays_is_not_proven_after_a_minute() {
    let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(300, true, &[12, 21], NEW)]);
    assert_eq!(failed(&course), "not-proven");
    assert!(course.at >= Duration::from_mins(1) && course.at < Duration::from_secs(62), "{:?}", course.at);
}

#[test]
fn workers_that_keep_dying_are_not_proven() {
    let flapping: Vec<Stage> =
        (0..400_u32).map(|n| stage(300 + u64::from(n) * 300, true, &[50 + n, 1000], NEW)).collect();
    let stages: Vec<Stage> = std::iter::once(stage(0, false, &OLD, STALE)).chain(flapping).collect();
    assert_eq!(failed(&run(terms(), &stages)), "workers-restart");
}

#[test]
fn another_master_is_no_proof() {
    let mut proof = Proof::new(terms());
    for (master, code) in [(Some((100, 6)), "master-changed"), (Some((7, 5)), "master-changed"), (None, "master-gone")]
    {
        let sample = Sample { at: ms(5), master, idle: true, live: set(&[21]), leaving: BTreeSet::new() };
        assert!(matches!(proof.observe(&sample, None), Next::Failed(cause) if cause.code == code));
    }
}

#[test]
fn a_missing_list_of_workers_is_never_a_proof() {
    let silent = Generation { pids_known: false, ..NEW };
    let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(300, true, &[21, 22], silent)]);
    assert_eq!(failed(&course), "not-proven");
    assert!(course.at > Duration::from_mins(1), "it may come late, so it is awaited: {:?}", course.at);
}

#[test]
fn what_the_new_workers_have_loaded_has_to_be_what_is_wanted() {
    for (says, code) in [
        (Generation { version: "2.0.3", ..NEW }, "other-version"),
        (Generation { legacy: true, ..NEW }, "still-loaded"),
    ] {
        let course = run(terms(), &[stage(0, false, &OLD, STALE), stage(300, true, &[21, 22], says)]);
        assert_eq!(failed(&course), code);
    }
    let more = Terms { loaded: BTreeMap::from([(plugin("other"), None)]), ..terms() };
    let course = run(more, &[stage(0, false, &OLD, STALE), stage(300, true, &[21, 22], NEW)]);
    assert_eq!(failed(&course), "not-loaded");
}

#[test]
fn readiness_has_to_come_back_unless_it_was_away_before() {
    let unready = |from| Stage { ready: 503, ..stage(from, true, &[21, 22], NEW) };
    let begin = stage(0, false, &OLD, STALE);
    let course = run(terms(), &[begin.clone(), unready(300)]);
    assert_eq!(failed(&course), "not-ready");
    assert!(course.at > Duration::from_secs(30));
    let course = run(terms(), &[begin.clone(), unready(300), stage(5000, true, &[21, 22], NEW)]);
    assert!(proven(&course).contains(", ready,"));
    let before = Terms { ready: Some(Readiness { status: 503, empty: false, stuck: false }), ..terms() };
    let course = run(before, &[begin, unready(300)]);
    assert!(proven(&course).contains("not ready (503), as before"), "{}", proven(&course));
}

/// measured.md 3: after a failed reload of anybody it is 503 until a good one. So a reload that leaves it so was none.
#[test]
fn readiness_that_a_failed_reload_took_away_has_to_come_back() {
    let unready = |ready, from| Stage { ready, ..stage(from, true, &[21, 22], NEW) };
    let begin = stage(0, false, &OLD, STALE);
    let stuck = Terms { ready: Some(STUCK), ..terms() };
    let course = run(stuck.clone(), &[begin.clone(), unready(599, 300)]);
    assert_eq!(failed(&course), "not-ready");
    let course = run(stuck.clone(), &[begin.clone(), unready(503, 300)]);
    assert_eq!(failed(&course), "not-ready", "for another reason now");
    let course = run(stuck, &[begin.clone(), unready(599, 300), stage(900, true, &[21, 22], NEW)]);
    assert!(proven(&course).contains(", ready,"));
    let other = Terms { ready: Some(Readiness { status: 503, empty: false, stuck: false }), ..terms() };
    let course = run(other, &[begin, unready(599, 300)]);
    assert_eq!(failed(&course), "not-ready", "it was away for another reason, and is now for this one");
}

#[test]
fn old_workers_that_still_serve_are_told() {
    let mut last = stage(300, true, &[21, 22], NEW);
    last.leaving = vec![11];
    let course = run(terms(), &[stage(0, false, &OLD, STALE), last.clone()]);
    assert!(proven(&course).ends_with("answered, 1 old worker still ends its requests"), "{}", proven(&course));
    last.leaving = OLD.to_vec();
    let course = run(terms(), &[stage(0, false, &OLD, STALE), last]);
    assert!(proven(&course).ends_with("2 old workers still end their requests"), "{}", proven(&course));
}

#[test]
fn an_empty_configuration_as_before_is_not_waited_for() {
    let mut proof = Proof::new(Terms {
        ready: Some(Readiness { status: 503, empty: true, stuck: false }),
        admin: false,
        ..terms()
    });
    let at = |at| Sample { at, master: Some(MASTER), idle: true, live: set(&[21]), leaving: BTreeSet::new() };
    assert!(matches!(proof.observe(&at(ms(1)), None), Next::Look { .. }), "one look is not enough");
    assert_eq!(proof.observe(&at(ms(21)), None), Next::Ask(Question::Ready));
    let answer = Answer::Ready(Some(Readiness { status: 503, empty: true, stuck: false }));
    assert_eq!(proof.observe(&at(ms(25)), Some(answer)), Next::Ask(Question::Proxy(4)));
}

#[test]
fn a_silent_proxy_is_not_proven_and_requests_are_bounded() {
    let mut proof = Proof::new(Terms { admin: false, ready: None, ..terms() });
    let many: Vec<u32> = (200..264).collect();
    let at = |at| Sample { at, master: Some(MASTER), idle: true, live: set(&many), leaving: BTreeSet::new() };
    proof.observe(&at(ms(1)), None);
    assert_eq!(proof.observe(&at(ms(21)), None), Next::Ask(Question::Proxy(16)));
    assert!(matches!(proof.observe(&at(ms(30)), Some(Answer::Proxy(15))), Next::Look { .. }));
    assert_eq!(proof.observe(&at(ms(50)), None), Next::Ask(Question::Proxy(16)));
    let late = proof.observe(&at(ms(31_000)), Some(Answer::Proxy(0)));
    assert!(matches!(late, Next::Failed(cause) if cause.code == "proxy-silent"));
}

#[test]
fn without_an_admin_api_the_proof_says_which_evidence_it_has() {
    let bare = Terms { admin: false, ready: None, proxy: false, ..terms() };
    let course = run(bare, &[stage(0, false, &OLD, STALE), stage(300, true, &[21], NEW)]);
    assert_eq!(proven(&course), "1 worker new, by the master and its processes alone, as no Admin API can be asked");
}

#[test]
fn an_admin_api_that_does_not_answer_is_awaited_then_not_proven() {
    let mut proof = Proof::new(terms());
    let at = |at| Sample { at, master: Some(MASTER), idle: true, live: set(&[21]), leaving: BTreeSet::new() };
    proof.observe(&at(ms(1)), None);
    assert_eq!(proof.observe(&at(ms(21)), None), Next::Ask(Question::Admin));
    let silent = || {
        let trouble = Trouble { code: "admin-unreachable".to_owned(), text: "refused".to_owned(), hints: vec![] };
        Some(Answer::Admin(Box::new(Err(trouble))))
    };
    assert!(matches!(proof.observe(&at(ms(30)), silent()), Next::Look { .. }));
    let late = proof.observe(&at(ms(61_000)), silent());
    assert!(matches!(late, Next::Failed(cause) if cause.code == "admin-unreachable"));
}

/// A sample of a master that is there, with these workers.
fn after(at: u64, master: Option<Process>, live: &[u32]) -> Sample {
    Sample { at: Duration::from_millis(at), master, idle: true, live: set(live), leaving: BTreeSet::new() }
}

fn bare() -> Terms {
    Terms { restarts: true, admin: false, ready: None, proxy: false, settle: Duration::ZERO, ..terms() }
}

#[test]
fn after_what_may_be_a_restart_the_master_that_follows_is_proven() {
    let mut proof = Proof::new(bare());
    let next = Some((900, 90));
    assert!(matches!(proof.observe(&after(10, None, &[]), None), Next::Look { .. }));
    assert!(matches!(proof.observe(&after(900, next, &[901]), None), Next::Look { .. }));
    let mut at = 950;
    loop {
        at += 50;
        match proof.observe(&after(at, next, &[901]), None) {
            Next::Proven(_) => break,
            Next::Look { .. } if at < 5_000 => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_master_that_follows_or_none_within_a_minute_is_a_failure() {
    let mut proof = Proof::new(bare());
    proof.observe(&after(10, Some((900, 90)), &[901]), None);
    let Next::Failed(cause) = proof.observe(&after(60, Some((950, 95)), &[951]), None) else { panic!() };
    assert_eq!(cause.code, "master-changed");
    let mut proof = Proof::new(bare());
    assert!(matches!(proof.observe(&after(59_000, None, &[]), None), Next::Look { .. }));
    let Next::Failed(cause) = proof.observe(&after(61_000, None, &[]), None) else { panic!() };
    assert_eq!(cause.code, "master-gone");
    // Where nothing was to restart, one that follows was started by somebody else.
    let mut proof = Proof::new(Terms { restarts: false, ..bare() });
    let Next::Failed(cause) = proof.observe(&after(10, Some((900, 90)), &[901]), None) else { panic!() };
    assert_eq!(cause.code, "master-changed");
}
