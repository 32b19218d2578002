package resources

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/quorate/quorate/api/v1alpha1"
)

const (
	defaultSnapshotCount int64 = 10000
	// maxDefaultQuota is the largest database that etcd recommends.
	maxDefaultQuota int64 = 8 << 30
	// unlimitedQuota is for ephemeral storage without a limit: etcd's own default.
	unlimitedQuota int64 = 2 << 30
)

// QuotaBackendBytes is the database size at which etcd stops accepting writes: the spec's, or 40 % of the volume, which
// has volumeSize bytes, or of the limit of ephemeral storage; at most 8 GiB. The rest is for the copy that a
// defragmentation or a snapshot makes, and for the write-ahead log. Another rule would restart the members of every
// cluster as soon as its volumes grow: what a Pod was rendered from is the size, not the quota; see Applied.
func QuotaBackendBytes(c *v1alpha1.EtcdCluster, volumeSize int64) int64 {
	if e := c.Spec.Etcd; e != nil && e.QuotaBackendBytes != nil {
		return e.QuotaBackendBytes.Value()
	}
	if e := c.Spec.Storage.Ephemeral; e != nil {
		if e.SizeLimit == nil {
			return unlimitedQuota
		}
		volumeSize = e.SizeLimit.Value()
	}
	return min(maxDefaultQuota, volumeSize/5*2)
}

func milliseconds(d *metav1.Duration) string {
	if d == nil {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// compaction is what the spec asks for; nothing when etcd would refuse it, since voters without Pods start also while
// the spec is refused.
func (r rendering) compaction() v1alpha1.AutoCompaction {
	if a := r.etcd().AutoCompaction; a != nil && compactionProblem(*a) == "" {
		return *a
	}
	return v1alpha1.AutoCompaction{}
}
