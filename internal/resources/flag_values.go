package resources

import (
	"strconv"
	"strings"

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

// QuotaBackendBytes is the database size at which etcd stops accepting writes: the spec's, or 40 % of the storage, at
// most 8 GiB. The rest is for the copy that a defragmentation or a snapshot makes, and for the write-ahead log.
func QuotaBackendBytes(c *v1alpha1.EtcdCluster) int64 {
	if e := c.Spec.Etcd; e != nil && e.QuotaBackendBytes != nil {
		return e.QuotaBackendBytes.Value()
	}
	storage := StorageSize(c)
	if e := c.Spec.Storage.Ephemeral; e != nil {
		if e.SizeLimit == nil {
			return unlimitedQuota
		}
		storage = *e.SizeLimit
	}
	return min(maxDefaultQuota, storage.Value()/5*2)
}

func milliseconds(d *metav1.Duration) string {
	if d == nil {
		return ""
	}
	return strconv.FormatInt(d.Milliseconds(), 10)
}

func compactionMode(a *v1alpha1.AutoCompaction) string {
	if a == nil {
		return ""
	}
	return strings.ToLower(string(a.Mode))
}

func compactionRetention(a *v1alpha1.AutoCompaction) string {
	if a == nil {
		return ""
	}
	return a.Retention
}
