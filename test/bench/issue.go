package main

import (
	"fmt"
	"syscall"
	"time"
)

const (
	// issueClusters is for how many clusters certificates are issued in each measurement.
	issueClusters = 100
	issueRepeats  = 5
)

// issuing is what it costs to make the certificates of many clusters: keys and signatures, as the operator makes them,
// without the writing of Secrets.
type issuing struct {
	Clusters int `json:"clusters"`
	// Authorities and Certificates are those of each cluster.
	Authorities  int `json:"authoritiesEach"`
	Certificates int `json:"certificatesEach"`
	// CPU of all clusters together, in seconds.
	CPU summary `json:"cpuSeconds"`
}

func measureIssue(o options) (issuing, error) {
	r := issuing{Clusters: issueClusters}
	var seconds []float64
	for range issueRepeats {
		before, err := ownCPU()
		if err != nil {
			return r, err
		}
		for i := range r.Clusters {
			all, err := issueAll(o.cluster(namespacePrefix+"issue", fmt.Sprintf("issue-%02d", i), 3), time.Now())
			if err != nil {
				return r, err
			}
			r.Authorities, r.Certificates = len(all.authorities), len(all.certificates)
		}
		after, err := ownCPU()
		if err != nil {
			return r, err
		}
		seconds = append(seconds, (after - before).Seconds())
	}
	r.CPU = summarize(seconds)
	return r, nil
}

// ownCPU is the CPU time that this process has used, in its own code and in the kernel.
func ownCPU() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read the CPU time of this process: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

func (i *issuing) print(line func(string, ...any)) {
	line("\nissuing %d authorities and %d certificates for each of %d clusters, in this process\t",
		i.Authorities, i.Certificates, i.Clusters)
	line("CPU for all, seconds\t%s", spread(&i.CPU))
	line("CPU for each, milliseconds\t%.2f", i.CPU.Median/float64(i.Clusters)*1000)
}
