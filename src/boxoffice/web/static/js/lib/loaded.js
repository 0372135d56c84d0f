// Every file is here and begins to run: what fails from now on is not the network's fault (`boot.js`).

document.dispatchEvent(new Event("boxoffice:loaded"));
