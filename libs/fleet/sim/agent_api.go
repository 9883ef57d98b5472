package sim

// health is what the agent last said about the container runtime.
func (h *containerInstance) health(w *World) *ContainerInstanceHealthStatus {
	status := "OK"
	switch {
	case w.impaired(h.machine):
		status = "IMPAIRED"
	case !h.connected:
		status = "INSUFFICIENT_DATA"
	case h.status == statusRegistering:
		status = "INITIALIZING"
	}
	return &ContainerInstanceHealthStatus{OverallStatus: status, Details: []InstanceHealthCheckResult{{
		Type: "CONTAINER_RUNTIME", Status: status, LastUpdated: Timestamp{w.now}, LastStatusChange: Timestamp{h.since},
	}}}
}

// UpdateContainerAgent asks an agent to update itself. The simulated agents have the newest
// version, which ECS answers with an error.
func (w *World) UpdateContainerAgent(in *UpdateContainerAgentInput) (*UpdateContainerAgentOutput, error) {
	c, err := w.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	h := w.host(c, in.ContainerInstance)
	switch {
	case h == nil || h.status == statusInactive:
		return nil, invalid("Referenced container instance %.100s not found.", lastPart(in.ContainerInstance))
	case h.machine.image.platform() != platformLinux:
		return nil, clientError("MissingVersionException", "Amazon ECS cannot determine the current version of the Amazon ECS container agent on the container instance and does not have enough information to proceed with an update.")
	}
	return nil, clientError("NoUpdateAvailableException", "There is no update available for your container agent.")
}
