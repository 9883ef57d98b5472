package sim

import (
	"fmt"
	"slices"
	"time"
)

// More environment variables of a container that tell the world what goes wrong with it.
const (
	// envFail is "pull" (the image cannot be pulled), "start" (the container cannot be
	// created) or "exit" (it ends at once with exit code 1).
	envFail = "SIM_FAIL"
	// envArchitecture is what the image is built for: x86_64 or arm64. On an instance of
	// the other architecture the container ends at once, with an exec format error; ECS
	// places it there all the same.
	envArchitecture = "SIM_ARCHITECTURE"
	// envUnhealthyAfter is a duration: so long after its start the container begins to fail
	// its health checks.
	envUnhealthyAfter = "SIM_UNHEALTHY_AFTER"
)

// The values of envFail.
const (
	failPull  = "pull"
	failStart = "start"
	failExit  = "exit"
)

// crashAfter is how long a container runs that ends at once: long enough for ECS to see
// the task RUNNING.
const crashAfter = time.Second

// Exit codes of containers that end at once.
const (
	exitCrash  = 1
	exitFormat = 255 // of runc, if the kernel refuses the executable
)

// suffer reads what an environment variable says goes wrong.
func (t *task) suffer(name, value string) {
	switch name {
	case envFail:
		if slices.Contains([]string{failPull, failStart, failExit}, value) {
			t.fails = value
		}
	case envArchitecture:
		t.imageArch = value
	case envUnhealthyAfter:
		if d, err := time.ParseDuration(value); err == nil && d >= 0 {
			t.falls = &d
		}
	}
}

// failsToStart ends a task whose containers cannot be started, and reports whether it did.
func (w *World) failsToStart(t *task) bool {
	image := t.definition.ContainerDefinitions[0].Image
	switch t.fails {
	case failPull:
		t.failure = fmt.Sprintf("CannotPullContainerError: Error response from daemon: pull access denied for %s, repository does not exist or may require 'docker login'", image)
	case failStart:
		t.failure = "CannotStartContainerError: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/app\": stat /app: no such file or directory: unknown"
	default:
		return false
	}
	w.stopTask(t, stopFailedToStart, "Task failed to start")
	return true
}

// ends is how long a task that runs goes on by itself; 0 is for good.
func (t *task) ends() time.Duration {
	switch arch := t.host.machine.kind.architecture(); {
	case t.imageArch != "" && t.imageArch != arch:
		t.failure, t.exitWith = "exec /app: exec format error", exitFormat
		return crashAfter
	case t.fails == failExit:
		if t.exitWith == 0 {
			t.exitWith = exitCrash
		}
		return crashAfter
	}
	return t.runFor
}

// ended tells the scheduler how a task of a service came to an end, before it does. A task
// that does not reach RUNNING, that ends by itself before it was healthy, or that fails its
// health checks, is a failed one of its deployment (ECS API, Deployment.failedTasks).
func (w *World) ended(t *task, code string) {
	s := t.service
	if s.scheduling == strategyDaemon {
		w.in(0, daemonDue{s, t.host})
	}
	switch {
	case code == stopFailedToStart && t.last < taskRunning:
		w.impair(s)
	case code == stopExited && t.last == taskRunning && !t.healthy(w):
	default:
		return
	}
	if t.deployment != nil {
		t.deployment.failed++
		w.breakCircuit(s)
	}
}

// impair notes that a task of a service went from PENDING to STOPPED. After a few of them
// in a row the service waits between attempts, longer each time (ECS Developer Guide,
// "service throttle logic"). Tasks that have been RUNNING never bring it about.
func (w *World) impair(s *service) {
	delays := &w.cfg.Delays
	s.failures++
	if s.failures < delays.ThrottleAfter {
		return
	}
	if until := s.nextTry; s.throttle > 0 && w.now.Before(until) {
		return // several tasks of one attempt
	}
	s.throttle = min(max(2*s.throttle, delays.ThrottleFirst), delays.ThrottleMax)
	s.nextTry = w.now.Add(s.throttle)
	w.wake(s, s.throttle)
	if w.say(s, "is unable to consistently start tasks successfully."+moreInformation) {
		w.tellService(s, "WARN", "SERVICE_TASK_START_IMPAIRED", "")
	}
}

// reached notes that a task of a service runs: what was said of tasks that do not may be
// said again.
func (w *World) reached(s *service) {
	s.failures, s.throttle = 0, 0
	s.forget("consistently start")
}
