//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/test/framework"
)

// load is everything that must not notice what is done to certificates: a writer, and a watch of what it writes. What
// members log about certificates is followed.
type load struct {
	*writing
	watch      *framework.Watch
	complaints *framework.Log
}

func (c *cluster) load() *load {
	c.t.Helper()
	l := &load{complaints: c.members.Log(c.ctx, "x509: ", "tls: ")}
	c.t.Cleanup(l.complaints.Stop)
	watch, err := c.members.Watch(c.ctx, "/writer/")
	c.must(err)
	c.t.Cleanup(watch.Stop)
	l.watch, l.writing = watch, c.write()
	return l
}

// unnoticed ends the load: every acknowledged write is read back from every member and was seen by the watch, and no
// member complained about a certificate. It returns what the writer has done.
func (l *load) unnoticed() framework.Record {
	l.t.Helper()
	record := l.nothingLost()
	ctx, cancel := l.within(time.Minute)
	defer cancel()
	if err := l.watch.Saw(ctx, record.Acknowledged); err != nil {
		l.t.Error(err)
	}
	if lines := slices.DeleteFunc(l.complaints.Lines(), halfRead); len(lines) > 0 {
		l.t.Errorf("members complained about certificates %d times:\n%s", len(lines),
			strings.Join(lines[:min(len(lines), 10)], "\n"))
	}
	l.t.Logf("the watch saw all %d writes through %d connections", len(record.Acknowledged), l.watch.Connections())
	return record
}

// halfRead tells of a handshake at which etcd read a certificate and its key while the kubelet exchanged them: it reads
// two files (client/pkg/transport, ServerConfig), and whoever was refused tries again.
func halfRead(line string) bool {
	return strings.Contains(line, "private key does not match public key")
}

// processes tell the member Pods and how often their containers were restarted.
func (c *cluster) processes() map[string]string {
	c.t.Helper()
	pods, err := c.members.Pods(c.ctx)
	c.must(err)
	all := map[string]string{}
	for _, p := range pods {
		for _, s := range p.Status.ContainerStatuses {
			all[p.Name] = fmt.Sprintf("Pod %s, container %s restarted %d times", p.UID, s.Name, s.RestartCount)
		}
	}
	return all
}

// sameProcesses checks that no member was restarted.
func (c *cluster) sameProcesses(before map[string]string) {
	c.t.Helper()
	now := c.processes()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if now[name] != before[name] {
			c.t.Errorf("%s runs in %s, want %s as before", name, now[name], before[name])
		}
	}
}
