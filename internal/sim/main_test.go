package sim

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	if n, err := strconv.Atoi(os.Getenv("SIM_RUNS")); err == nil {
		os.Args = append(os.Args, fmt.Sprintf("-rapid.checks=%d", n))
	} else if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.Contains(arg, "rapid.") }) {
		// The same schedules each time: what is new is found by "make sim", and does not stop a change that has nothing to
		// do with it.
		os.Args = append(os.Args, "-rapid.seed=1")
	}
	os.Exit(m.Run())
}
