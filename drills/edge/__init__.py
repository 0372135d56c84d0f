"""HAProxy and nginx with the configurations of `deploy/`, in front of serve processes."""
