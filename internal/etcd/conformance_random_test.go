//go:build integration

package etcd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/etcd"
)

// sequencesVariable says how many random sequences are compared for each version.
const sequencesVariable = "QUORATE_CONFORMANCE"

// TestTheModelAnswersLikeEtcd runs the same random sequences of membership calls, deaths and restarts in the Model and in
// real servers of each minor, side by side, and compares every answer and what is listed after it. The seeds are the
// same each time.
func TestTheModelAnswersLikeEtcd(t *testing.T) {
	sequences := 1
	if n, err := strconv.Atoi(os.Getenv(sequencesVariable)); err == nil {
		sequences = n
	}
	for _, minor := range []string{"3.5", "3.6", "3.7"} {
		for seed := range uint64(sequences) {
			t.Run(fmt.Sprintf("etcd %s, sequence %d", minor, seed), func(t *testing.T) {
				t.Parallel()
				p := &pair{T: t, model: newModelWorld(t), real: newRealWorld(t, minor), random: rand.New(rand.NewPCG(seed, 7))}
				p.run(12)
			})
		}
	}
}

// pair is a cluster in the Model and the same one of real servers. What is random is drawn once for both.
type pair struct {
	*testing.T
	model, real world
	random      *rand.Rand
	// running are the processes that should run, listed the members that are listed, learners among them.
	running, listed, learner, ran map[string]bool
	history                       []string
}

// pool of names; three of them bootstrap.
var pool = []string{"a", "b", "c", "d", "e"}

// settled is longer than members must be connected before a change of the membership (etcdserver.HealthInterval): so that
// no answer depends on how fast a machine is.
const settled = 6500 * time.Millisecond

func (p *pair) run(steps int) {
	p.running, p.listed = map[string]bool{}, map[string]bool{}
	p.learner, p.ran = map[string]bool{}, map[string]bool{}
	first := pool[:3]
	for _, name := range first {
		p.both(func(w world) { w.start(name, false, first...) })
		p.running[name], p.listed[name], p.ran[name] = true, true, true
	}
	p.settle()
	for range steps {
		p.step()
		if p.Failed() {
			p.Fatalf("after:\n%s", strings.Join(p.history, "\n"))
		}
	}
}

func (p *pair) both(do func(world)) {
	do(p.model)
	do(p.real)
}

// step draws what happens next.
func (p *pair) step() {
	name := pool[p.random.IntN(len(pool))]
	switch p.random.IntN(9) {
	case 0, 1:
		p.add(name)
	case 2, 3:
		p.promote(name)
	case 4:
		p.remove(name)
	case 5:
		p.kill(name)
	case 6, 7:
		p.start(name)
	default:
		p.moveLeader(name)
	}
	p.compareLists()
}

// call sends a call about a member through the leader, or through another voter that runs, and compares the answers. A
// voter is not asked about itself: whether the answer to its own removal comes through before it exits is a matter of luck.
func (p *pair) call(what, member string, send func(w world, c etcd.Client) error) bool {
	what += " " + member
	through := p.leader()
	others := p.voters(func(n string) bool { return p.running[n] && n != through && n != member })
	if len(others) > 0 && p.random.IntN(4) == 0 {
		through = others[p.random.IntN(len(others))]
	}
	p.history = append(p.history, what+" through "+through)
	var answers []string
	p.both(func(w world) { answers = append(answers, meaning(send(w, w.client(through)))) })
	if answers[0] != answers[1] {
		p.Errorf("%s: the Model answers %q, etcd %q", p.history[len(p.history)-1], answers[0], answers[1])
	}
	p.history[len(p.history)-1] += ": " + answers[1]
	return answers[1] == "done"
}

// meaning of an answer, as the operator understands it.
func meaning(err error) string {
	for name, sentinel := range map[string]error{
		"later": etcd.ErrLater, "not found": etcd.ErrNotFound, "exists": etcd.ErrExists, "no learner": etcd.ErrNotLearner,
		"too many learners": etcd.ErrTooManyLearners, "not the leader": etcd.ErrNotLeader,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	if err != nil {
		return "another error"
	}
	return "done"
}

func (p *pair) add(name string) {
	added := p.call("add", name, func(w world, c etcd.Client) error {
		_, err := c.AddLearner(p.Context(), w.peerURL(name))
		return err
	})
	if added {
		p.both(func(w world) { w.kill(name); w.wipe(name) })
		p.listed[name], p.learner[name], p.ran[name], p.running[name] = true, true, false, false
	}
}

func (p *pair) promote(name string) {
	if p.call("promote", name, func(w world, c etcd.Client) error { return c.Promote(p.Context(), p.id(w, name)) }) {
		p.learner[name] = false
		p.settle()
	}
}

// remove leaves the leader alone, for the same reason.
func (p *pair) remove(name string) {
	if name == p.leader() {
		return
	}
	if !p.call("remove", name, func(w world, c etcd.Client) error { return c.Remove(p.Context(), p.id(w, name)) }) {
		return
	}
	if p.running[name] {
		p.wait(name+" exits", func(w world) bool { _, _, exited := w.exited(name); return exited })
	}
	p.both(func(w world) { w.kill(name); w.wipe(name) })
	for _, m := range []map[string]bool{p.listed, p.learner, p.ran, p.running} {
		delete(m, name)
	}
	p.settle()
}

// kill ends a process, as long as a majority goes on.
func (p *pair) kill(name string) {
	staying := p.voters(func(n string) bool { return p.running[n] && n != name })
	if !p.running[name] || 2*len(staying) <= len(p.voters(func(string) bool { return true })) {
		return
	}
	p.history = append(p.history, "kill "+name)
	p.both(func(w world) { w.kill(name) })
	p.running[name] = false
	p.settle()
}

// start starts a member that does not run: sealed when it ran before, else with the list as it is.
func (p *pair) start(name string) {
	if p.running[name] || !p.listed[name] {
		return
	}
	initial := []string{name}
	if !p.ran[name] {
		initial = slices.DeleteFunc(slices.Clone(pool), func(n string) bool { return !p.listed[n] })
	}
	p.history = append(p.history, "start "+name)
	p.both(func(w world) { w.start(name, true, initial...) })
	p.running[name], p.ran[name] = true, true
	p.settle()
}

func (p *pair) moveLeader(name string) {
	moved := p.call("move the leadership to", name, func(w world, c etcd.Client) error {
		err := c.MoveLeader(p.Context(), p.id(w, name))
		// etcd gives up after an election timeout, which a busy machine may need for other things.
		for range 3 {
			if meaning(err) != "another error" || w != p.real || p.learner[name] || !p.running[name] {
				break
			}
			err = c.MoveLeader(p.Context(), p.id(w, name))
		}
		return err
	})
	if moved {
		p.settle()
	}
}

// settle waits until all that run serve under one leader and have known each other for long enough, and has the same
// member lead in both.
func (p *pair) settle() {
	p.wait("all serve", func(w world) bool {
		for name := range p.running {
			if s, err := w.client(name).Status(p.Context()); p.running[name] && (err != nil || s.Leader == 0) {
				return false
			}
		}
		return p.leaderOf(w) != ""
	})
	heir := p.voters(func(n string) bool { return p.running[n] })[0]
	p.wait(heir+" leads", func(w world) bool {
		if leader := p.leaderOf(w); leader != heir && leader != "" {
			_ = w.client(leader).MoveLeader(p.Context(), p.id(w, heir)) // tried again
		}
		return p.leaderOf(w) == heir
	})
	p.both(func(w world) {
		for range settled / (100 * time.Millisecond) {
			w.wait()
		}
	})
}

// wait waits in both worlds, for a minute at most.
func (p *pair) wait(what string, condition func(world) bool) {
	p.Helper()
	p.both(func(w world) {
		for end := w.now().Add(time.Minute); !condition(w); w.wait() {
			if w.now().After(end) {
				p.Fatalf("not within a minute in %T: %s, after:\n%s", w, what, strings.Join(p.history, "\n"))
			}
		}
	})
}

// voters are the listed voters for which the condition holds, in the order of their names.
func (p *pair) voters(condition func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(pool), func(n string) bool {
		return !p.listed[n] || p.learner[n] || !condition(n)
	})
}

func (p *pair) leader() string { return p.leaderOf(p.real) }

func (p *pair) leaderOf(w world) string {
	for _, name := range pool {
		if !p.running[name] {
			continue
		}
		if s, err := w.client(name).Status(p.Context()); err == nil && s.Leader == s.MemberID && w.client(name).Read(p.Context()) == nil {
			return name
		}
	}
	return ""
}

// id of the member at the name's peer URL; one that nobody has when there is none.
func (p *pair) id(w world, name string) uint64 {
	for _, m := range p.list(w) {
		if m.PeerURLs[0] == w.peerURL(name) {
			return m.ID
		}
	}
	return 0xdead
}

func (p *pair) list(w world) []etcd.Member {
	p.Helper()
	leader := p.leaderOf(w)
	if leader == "" {
		return nil
	}
	list, err := w.client(leader).Members(p.Context())
	if err != nil {
		p.Fatalf("listing the members in %T: %v", w, err)
	}
	return list.Members
}

// compareLists compares what is listed: who, as what, and whether it has started.
func (p *pair) compareLists() {
	p.Helper()
	var lists [][]string
	p.both(func(w world) {
		var sentences []string
		for _, m := range p.list(w) {
			at := slices.IndexFunc(pool, func(n string) bool { return w.peerURL(n) == m.PeerURLs[0] })
			sentences = append(sentences, fmt.Sprintf("%s learner=%t started=%t", pool[at], m.Learner, m.Started()))
		}
		slices.Sort(sentences)
		lists = append(lists, sentences)
	})
	if diff := cmp.Diff(lists[0], lists[1]); diff != "" {
		p.Errorf("members (-model +etcd):\n%s", diff)
	}
}
