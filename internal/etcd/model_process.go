package etcd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ProcessConfig is how an etcd process is started.
type ProcessConfig struct {
	PodUID  string
	Name    string
	Address string // at which the operator reaches it, as in Target
	// PeerURL and ClientURL are --initial-advertise-peer-urls and --advertise-client-urls.
	PeerURL   string
	ClientURL string
	// InitialCluster and Existing are --initial-cluster ("name=url,name=url") and --initial-cluster-state; Token is
	// --initial-cluster-token. They are ignored when the data directory holds a write-ahead log.
	InitialCluster string
	Existing       bool
	Token          string
	Version        string // of the binary: 3.6.16
	DataDir        *DataDir
	MaxLearners    int   // --max-learners, the default 1 if 0
	Quota          int64 // --quota-backend-bytes, the default 2 GiB if 0
}

// ProcessState is what a container runtime and the metrics port tell of a process.
type ProcessState struct {
	Running  bool
	ExitCode int    // when not running
	Message  string // its last words, when not running
	// Ready tells whether it serves clients: it has published itself to the cluster since it started.
	Ready     bool
	MemberID  uint64 // 0 when it never came to have one
	ClusterID uint64
	Leader    uint64 // as the process knows it; 0 for none
	Learner   bool
	// ListedSelf tells whether the process finds itself in the member list that it has applied.
	ListedSelf bool
}

type process struct {
	model   *Model
	cfg     ProcessConfig
	minor   int
	disk    *disk
	ended   bool
	code    int
	message string
	// shadowed tells that a later process runs as the same member: DNS leads to that one.
	shadowed bool

	ready    bool
	leading  bool
	lead     uint64 // the member ID of the leader that it follows; 0 for none
	alone    int    // ticks without a leader or, for a leader, without a quorum
	syncLeft int    // ticks until a member with an empty log is brought up to date
	match    map[uint64]int
	first    int // number of entries that its log in memory lacks, as a snapshot covers them
	pending  int // number of entries up to the last membership change that this leader proposed
	active   []connection
}

// Start starts a process; the one that ran in the Pod before, if any, is killed. The state tells whether it runs or
// with which message it exited at once.
func (m *Model) Start(cfg ProcessConfig) ProcessState {
	m.Stop(cfg.PodUID)
	if cfg.DataDir == nil {
		cfg.DataDir = &DataDir{}
	}
	p := &process{model: m, cfg: cfg, syncLeft: m.opts.SyncTicks}
	m.pods[cfg.PodUID] = p
	if code, message := m.boot(p); message != "" {
		p.ended, p.code, p.message = true, code, message
		return p.state()
	}
	m.recordStart(p)
	cfg.DataDir.owner = p
	m.running = append(m.running, p)
	m.reconnect()
	return p.state()
}

// Stop kills the process in the Pod, if one runs.
func (m *Model) Stop(podUID string) {
	if p := m.pods[podUID]; p != nil {
		p.exit(137, "killed")
	}
}

// State returns the state of the Pod's last process, and false when there never was one.
func (m *Model) State(podUID string) (ProcessState, bool) {
	p := m.pods[podUID]
	if p == nil {
		return ProcessState{}, false
	}
	return p.state(), true
}

func (p *process) state() ProcessState {
	s := ProcessState{Running: !p.ended, ExitCode: p.code, Message: p.message}
	if p.disk != nil {
		s.MemberID, s.ClusterID = p.disk.member, p.disk.cluster
	}
	if s.Running {
		self, listedSelf := p.disk.view.find(p.disk.member)
		s.Ready, s.Leader, s.Learner, s.ListedSelf = p.ready, p.lead, self.learner, listedSelf
	}
	return s
}

func (p *process) exit(code int, message string) {
	if p.ended {
		return
	}
	m := p.model
	p.ended, p.code, p.message = true, code, message
	p.ready, p.leading, p.lead, p.active, p.match = false, false, 0, nil, nil
	p.cfg.DataDir.owner = nil
	for i, r := range m.running {
		if r == p {
			m.running = append(m.running[:i:i], m.running[i+1:]...)
			break
		}
	}
	m.reconnect()
}

// recordStart looks for what etcd cannot see: a member that starts without what it had stored.
func (m *Model) recordStart(p *process) {
	id := p.disk.id()
	if m.removed[id] {
		m.violate(RemovedStarted, id, "Pod %s runs on the data directory of a removed member", p.cfg.PodUID)
	}
	for _, r := range m.running {
		if r.disk.id() == id && !r.shadowed {
			r.shadowed = true
			m.violate(DuplicateMember, id, "Pod %s runs as a member that Pod %s runs as", p.cfg.PodUID, r.cfg.PodUID)
		}
	}
	// Nobody counts on what a removed member remembers.
	if before := m.ran[id]; before != nil && before != p.disk && !m.removed[id] {
		// One that joined, stored nothing and never voted, has only heard of a term: nobody counts on that.
		kept := len(before.log) > 0 || before.voted
		if kept && before.term > p.disk.term || len(before.log) > len(p.disk.log) {
			m.violate(Amnesia, id, "Pod %s starts with %d entries in term %d, the member had %d in term %d",
				p.cfg.PodUID, len(p.disk.log), p.disk.term, len(before.log), before.term)
		} else {
			m.violate(Reincarnation, id, "Pod %s runs on another data directory than before", p.cfg.PodUID)
		}
	}
	m.ran[id] = p.disk
}

// boot does what etcd does before it serves: code and message tell of an exit, the message is empty when it runs.
// The order and the wording are those of etcd server/etcdserver/bootstrap.go.
func (m *Model) boot(p *process) (code int, message string) {
	dir := p.cfg.DataDir
	if dir.owner != nil {
		m.violate(SharedDataDir, dir.owner.disk.id(), "Pod %s starts on the data directory of Pod %s",
			p.cfg.PodUID, dir.owner.cfg.PodUID)
		return 1, "the data directory is locked by another process"
	}
	minor, err := minorOf(p.cfg.Version)
	if err != nil {
		return 1, err.Error()
	}
	p.minor = minor
	if dir.disk != nil {
		p.disk, p.first = dir.disk, dir.disk.snapshot
		if dir.disk.unreadable(minor, 0, dir.disk.commit) {
			return 2, cannotRead
		}
		return p.tooNew()
	}
	initial, err := parseInitialCluster(p.cfg)
	if err != nil {
		return 1, err.Error()
	}
	if p.cfg.Existing {
		p.disk, err = m.join(p, initial)
	} else {
		p.disk, err = m.bootstrap(p, initial)
	}
	if err != nil {
		return 1, "bootstrap failed: " + err.Error()
	}
	dir.disk = p.disk
	return 0, ""
}

// bootstrap starts a member of a new cluster. A peer that answers and knows the member as started stops it; when no
// peer answers it goes ahead, also with an ID that ran before.
func (m *Model) bootstrap(p *process, initial []listed) (*disk, error) {
	own := listed{}
	ids := make([]uint64, 0, len(initial))
	for i := range initial {
		initial[i].id = memberID(initial[i].peerURL, p.cfg.Token)
		ids = append(ids, initial[i].id)
		if initial[i].name == p.cfg.Name {
			own = initial[i]
		}
	}
	if own.peerURL != p.cfg.PeerURL {
		return nil, fmt.Errorf("--initial-cluster has %s=%s but missing from --initial-advertise-peer-urls=%s",
			own.name, own.peerURL, p.cfg.PeerURL)
	}
	if remote := m.firstToAnswer(p, initial); remote != nil {
		if known, ok := remote.disk.view.find(own.id); ok && known.clientURL != "" {
			return nil, fmt.Errorf("member %x has already been bootstrapped", own.id)
		}
	}
	sortByID(initial)
	d := &disk{cluster: clusterID(ids), member: own.id, term: 1}
	for _, member := range initial {
		d.log = append(d.log, &entry{term: 1, kind: entryAdd, member: member})
	}
	d.applyTo(len(d.log), p.maxLearners())
	return d, nil
}

// join starts a member of a running cluster under the ID that is listed for its peer URL, whether or not that ID ran
// before: etcd does not look.
func (m *Model) join(p *process, initial []listed) (*disk, error) {
	remote := m.firstToAnswer(p, initial)
	if remote == nil {
		return nil, errors.New("cannot fetch cluster info from peer urls: " +
			"could not retrieve cluster information from the given URLs")
	}
	existing := remote.disk.view
	if len(existing.members) != len(initial) {
		return nil, errors.New("error validating peerURLs: member count is unequal")
	}
	own := uint64(0)
	for _, e := range existing.members {
		local, ok := findURL(initial, e.peerURL)
		if !ok {
			return nil, fmt.Errorf("error validating peerURLs: PeerURLs: no match found for existing member (%x, %s)",
				e.id, e.peerURL)
		}
		if local.name == p.cfg.Name {
			own = e.id
		}
	}
	// While a downgrade is enabled, only a member one minor below the cluster version could join, which is lowered.
	if existing.minor == 0 || existing.minor > p.minor || existing.downgrade != 0 && existing.minor != p.minor+1 {
		return nil, errors.New("incompatible with current running cluster")
	}
	if existing.learners() > p.maxLearners() {
		return nil, errors.New("too many learner members in cluster")
	}
	return &disk{cluster: remote.disk.cluster, member: own}, nil
}

// firstToAnswer returns the first other member, in the order of the peer URLs, that answers GET /members with a list.
func (m *Model) firstToAnswer(p *process, initial []listed) *process {
	for _, member := range initial { // ordered by peer URL
		if member.name == p.cfg.Name {
			continue
		}
		if remote := m.at(member.peerURL, p.cfg.PodUID); remote != nil && len(remote.disk.view.members) > 0 {
			return remote
		}
	}
	return nil
}

func (p *process) maxLearners() int { return max(p.cfg.MaxLearners, 1) }

// minorOf returns 6 for 3.6.16.
func minorOf(version string) (int, error) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) == 3 && parts[0] == "3" {
		if minor, err := strconv.Atoi(parts[1]); err == nil {
			return minor, nil
		}
	}
	return 0, fmt.Errorf("version %q of etcd: want one like 3.6.16", version)
}
