//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

func TestEtcdctlWorksInAMembersPodWithoutFlagsForCertificates(t *testing.T) {
	for _, v := range []string{"3.5.35", "3.6.16", "3.7.3"} {
		t.Run("etcd "+v, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t).create("demo", spec(3, version(v)))
			c.ready()
			c.everyMember(func(member string) {
				key := "/of/" + member
				if got := strings.TrimSpace(c.etcdctl(member, "put", key, "value")); got != "OK" {
					t.Errorf("etcdctl put in %s says %q, want OK", member, got)
				}
				if got := c.etcdctl(member, "get", "/", "--prefix", "--keys-only"); !strings.Contains(got, key+"\n") {
					t.Errorf("etcdctl get / --prefix --keys-only in %s says\n%s\nwant it to name %s", member, got, key)
				}
				table := c.etcdctl(member, "endpoint", "status", "--cluster", "-w", "table")
				c.everyMember(func(other string) {
					if row := rowOf(table, "https://"+other+"."); !strings.Contains(row, " "+v+" ") {
						t.Errorf("etcdctl endpoint status --cluster -w table in %s has the row %q for %s, want one with %s:\n%s",
							member, row, other, v, table)
					}
				})
			})
		})
	}
}

// rowOf is the row of a table that holds the text.
func rowOf(table, text string) string {
	for row := range strings.Lines(table) {
		if strings.Contains(row, text) {
			return row
		}
	}
	return ""
}
