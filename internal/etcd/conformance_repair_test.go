package etcd_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/etcd"
)

// agree asks for what tells a corrupt or unreachable member from a sound one.
func (s *scenario) agree() {
	names := []string{"a", "b", "c"}
	s.write("before the data is compared")
	revision := int64(0)
	s.until("all have the same data", func() bool {
		revision = s.status("a").Revision
		return revision > 0 && s.status("b").Revision == revision && s.status("c").Revision == revision
	})
	hashes := map[etcd.Hash][]string{}
	for _, name := range names {
		h, err := s.client(name).HashKV(s.ctx(), revision)
		s.wantError(nil, err)
		hashes[h] = append(hashes[h], name)
		if h.Revision != revision || h.Compacted > revision {
			s.Errorf("the hash of %s is of revision %d, compacted up to %d, want revision %d", name, h.Revision, h.Compacted, revision)
		}
	}
	if len(hashes) != 1 {
		s.Errorf("the hashes differ: %v", hashes)
	}
	if _, err := s.client("a").HashKV(s.ctx(), revision+1000); err == nil {
		s.Error("a revision of the future was hashed")
	}
	s.wantError(nil, s.leader().Disarm(s.ctx(), etcd.Alarm{Type: etcd.AlarmCorrupt, MemberID: s.id("b")}))
	leader := s.leaderName()
	s.wantPeers(leader, slices.DeleteFunc(names, func(name string) bool { return name == leader })...)
}

// wantPeers waits until a member hears from these of the three, and from no others.
func (s *scenario) wantPeers(name string, peers ...string) {
	want := map[uint64]bool{}
	for _, p := range peers {
		want[s.id(p)] = true
	}
	s.until(name+" hears from "+strings.Join(peers, " and ")+" only", func() bool {
		got, err := s.activePeers(name, s.id(name))
		s.wantError(nil, err)
		return maps.Equal(want, got)
	})
}
