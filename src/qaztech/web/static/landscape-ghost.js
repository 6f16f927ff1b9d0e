// Many lines cost more time to draw than a frame has. While the picture moves, the lines are therefore the image of
// where it rested, moved and scaled with it (exact, but for what comes in from outside); drawn anew when it rests.
"use strict";

class LandscapeGhost {
  constructor(renderer, stage) {
    this.renderer = renderer;
    this.on = false;
    this.image = document.createElement("canvas");
    this.image.className = "ghost";
    this.image.setAttribute("aria-hidden", "true");
    this.image.hidden = true;
    stage.insertBefore(this.image, renderer.getCanvases().edges);
    renderer.on("afterRender", () => this.rendered());
    // What lies under the pointer is read back from the drawing, which waits for it: not while everything moves.
    const under = renderer.getNodeAtPosition.bind(renderer);
    renderer.getNodeAtPosition = (position) => (this.moving() ? null : under(position));
    // A layer that nothing is ever drawn on still costs its share of every frame.
    renderer.getCanvases().edgeLabels.hidden = true;
  }

  /** Whether there are so many lines that it is needed. */
  use(many) {
    this.on = many;
    this.renderer.setSetting("hideEdgesOnMove", many);
    if (!many) this.image.hidden = true;
  }

  /** The rule by which sigma leaves lines out. */
  moving() {
    const mouse = this.renderer.getMouseCaptor();
    return Boolean(this.renderer.getCamera().isAnimated() || mouse.isMoving || mouse.draggedEvents || mouse.currentWheelDirection);
  }

  rendered() {
    if (!this.on) return;
    if (this.moving()) {
      this.follow();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => { if (!this.moving()) this.renderer.scheduleRender(); }, 200);
      return;
    }
    this.keep();
  }

  /** Take the image of the lines as they are now: only in this moment the browser still has it. */
  keep() {
    const lines = this.renderer.getCanvases().edges;
    if (this.image.width !== lines.width || this.image.height !== lines.height) {
      this.image.width = lines.width;
      this.image.height = lines.height;
      this.image.style.width = lines.style.width;
      this.image.style.height = lines.style.height;
    }
    const context = this.image.getContext("2d");
    context.globalCompositeOperation = "copy";
    context.drawImage(lines, 0, 0);
    this.image.hidden = true;
    this.state = this.renderer.getCamera().getState();
  }

  follow() {
    if (!this.state) return;
    const place = (point, cameraState) => this.renderer.framedGraphToViewport(point, cameraState ? { cameraState } : {});
    const one = { x: 0.4, y: 0.5 }, other = { x: 0.6, y: 0.5 };
    const was = place(one, this.state), is = place(one), far = place(other, this.state).x - was.x;
    const scale = (place(other).x - is.x) / far;
    this.image.style.transform = `matrix(${scale},0,0,${scale},${is.x - scale * was.x},${is.y - scale * was.y})`;
    this.image.hidden = false;
  }
}
