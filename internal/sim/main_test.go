package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	if n, err := strconv.Atoi(os.Getenv("SIM_RUNS")); err == nil {
		os.Args = append(os.Args, fmt.Sprintf("-rapid.checks=%d", n))
	}
	os.Exit(m.Run())
}
